//! What is read of a review, what is a fault in it, and what is refused.

use pullkey::admission::{Object, read};

use crate::table::{A, check, image, object, request, spec};

#[test]
fn only_a_v1_review_with_a_request_and_a_uid_is_read() {
    let review = |kind: &str, version: &str, request: &str| {
        format!(r#"{{"kind":{kind},"apiVersion":{version},"request":{request}}}"#)
    };
    let (kind, version) = (r#""AdmissionReview""#, r#""admission.k8s.io/v1""#);
    let uid = |uid: &str| review(kind, version, &format!(r#"{{"uid":{uid}}}"#));
    check(&[
        ("empty body", String::new(), "not JSON"),
        ("white space alone", " \n".to_owned(), "not JSON"),
        ("null", "null".to_owned(), "NotAnObject"),
        ("a number", " 12 ".to_owned(), "NotAnObject"),
        ("a string", r#""AdmissionReview""#.to_owned(), "NotAnObject"),
        ("a list of reviews", format!("[{}]", uid(r#""u""#)), "NotAnObject"),
        ("an empty object", "{}".to_owned(), "Kind(None)"),
        (
            "kind of another case",
            review(r#""admissionreview""#, version, "{}"),
            r#"Kind(Some("admissionreview"))"#,
        ),
        ("kind is null", review("null", version, "{}"), "Kind(None)"),
        ("kind is a number", review("1", version, "{}"), "Kind(None)"),
        (
            "kind before version",
            review(r#""Pod""#, r#""v1""#, "{}"),
            r#"Kind(Some("Pod"))"#,
        ),
        (
            "kind in escapes",
            review(r#""\u0041dmissionReview""#, version, r#"{"uid":"u"}"#),
            "absent",
        ),
        (
            "a key of another case",
            uid(r#""u""#).replace("kind", "Kind"),
            "Kind(None)",
        ),
        (
            "v1beta1",
            review(kind, r#""admission.k8s.io/v1beta1""#, "{}"),
            r#"ApiVersion(Some("admission.k8s.io/v1beta1"))"#,
        ),
        (
            "no version",
            r#"{"kind":"AdmissionReview"}"#.to_owned(),
            "ApiVersion(None)",
        ),
        (
            "no request",
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#.to_owned(),
            "NoRequest",
        ),
        ("request is null", review(kind, version, "null"), "NoRequest"),
        ("request is a list", review(kind, version, "[]"), "NoRequest"),
        ("no uid", review(kind, version, "{}"), "NoUid"),
        ("uid is null", uid("null"), "NoUid"),
        ("uid is empty", uid(r#""""#), "NoUid"),
        ("uid is a number", uid("7"), "NoUid"),
        ("uid in escapes", uid(r#""\u0075""#), "absent"),
        ("only a uid", uid(r#""u""#), "absent"),
        (
            "white space everywhere",
            "\r\n\t ".to_owned() + &uid(r#" "u" "#).replace([':', ','], "\t$0\n "),
            "not JSON",
        ),
        (
            "a response beside it",
            uid(r#""u""#).replacen('{', r#"{"response":{"uid":""},"#, 1),
            "absent",
        ),
    ]);
}

#[test]
fn faults_of_the_request_are_named_and_never_refused() {
    for (members, expected) in [
        (r#""operation":1"#, "`request.operation` is not a string"),
        (r#""namespace":[]"#, "`request.namespace` is not a string"),
        (r#""name":{}"#, "`request.name` is not a string"),
        (r#""resource":"pods""#, "`request.resource` is not an object"),
        (
            r#""resource":{"group":true}"#,
            "`request.resource.group` is not a string",
        ),
        (r#""subResource":0"#, "`request.subResource` is not a string"),
        (r#""dryRun":"true""#, "`request.dryRun` is not a boolean"),
        (r#""object":1,"dryRun":1,"name":1"#, "`request.name` is not a string"),
    ] {
        check(&[("a fault", request(members), expected)]);
    }
}

#[test]
fn faults_of_the_object_are_named_and_never_refused() {
    for (members, expected) in [
        ("[]", "`request.object` is not an object"),
        (r#"{"metadata":"","spec":{}}"#, "`metadata` is not an object"),
        (
            r#"{"metadata":{"labels":[]},"spec":{}}"#,
            "`metadata.labels` is not an object",
        ),
        (
            r#"{"metadata":{"labels":{"pullkey.dev/inject":false}},"spec":{}}"#,
            "`metadata.labels[pullkey.dev/inject]` is not a string",
        ),
        (r#"{"metadata":{"labels":{"a":false}},"spec":{}}"#, ""),
        (
            r#"{"metadata":{"annotations":1},"spec":{}}"#,
            "`metadata.annotations` is not an object",
        ),
        ("{}", "`spec` is not an object"),
        (r#"{"spec":null}"#, "`spec` is not an object"),
        (r#"{"spec":"a"}"#, "`spec` is not an object"),
    ] {
        check(&[("a fault", object(members), expected)]);
    }
}

#[test]
fn faults_of_the_spec_are_named_and_never_refused() {
    for (members, expected) in [
        (r#""imagePullSecrets":{}"#, "`spec.imagePullSecrets` is not a list"),
        (
            r#""imagePullSecrets":["a"]"#,
            "`spec.imagePullSecrets[]` is not an object",
        ),
        (
            r#""imagePullSecrets":[{"name":1}]"#,
            "`spec.imagePullSecrets[].name` is not a string",
        ),
        (r#""initContainers":{}"#, "`spec.initContainers` is not a list"),
        (
            r#""ephemeralContainers":[0]"#,
            "`spec.ephemeralContainers[]` is not an object",
        ),
        (
            r#""containers":[{"image":["a"]}]"#,
            "`spec.containers[].image` is not a string",
        ),
        (
            r#""containers":[{"image":1e999}]"#,
            "`spec.containers[].image` is not a string",
        ),
        (
            r#""volumes":[{"image":"a"}]"#,
            "`spec.volumes[].image` is not an object",
        ),
        (
            r#""volumes":[{"image":{"reference":1}}]"#,
            "`spec.volumes[].image.reference` is not a string",
        ),
        (
            r#""serviceAccountName":["a"]"#,
            "`spec.serviceAccountName` is not a string",
        ),
        (r#""serviceAccountName":1,"volumes":1"#, "`spec.volumes` is not a list"),
        (
            r#""containers":[{},{"image":1},2]"#,
            "`spec.containers[].image` is not a string",
        ),
        (
            r#""volumes":1,"containers":1,"imagePullSecrets":1"#,
            "`spec.imagePullSecrets` is not a list",
        ),
    ] {
        check(&[("a fault", spec(members), expected)]);
    }
}

#[test]
fn null_is_the_same_as_absent() {
    check(&[
        ("object", object("null"), "absent"),
        (
            "members of the request",
            request(r#""operation":null,"namespace":null,"resource":null,"dryRun":null"#),
            "absent",
        ),
        ("metadata", object(r#"{"metadata":null,"spec":{}}"#), ""),
        (
            "labels",
            object(r#"{"metadata":{"labels":null,"annotations":null},"spec":{}}"#),
            "",
        ),
        (
            "the label",
            object(r#"{"metadata":{"labels":{"pullkey.dev/inject":null}},"spec":{}}"#),
            "",
        ),
        (
            "lists",
            spec(r#""imagePullSecrets":null,"initContainers":null,"containers":null,"volumes":null"#),
            "",
        ),
        (
            "items",
            spec(r#""imagePullSecrets":[null,{"name":null},{}],"containers":[null]"#),
            "secrets",
        ),
        (
            "images",
            spec(r#""containers":[{"image":null},{"image":""}],"volumes":[{"image":null},{}]"#),
            "",
        ),
    ]);
}

#[test]
fn facts_of_a_pod_are_found_in_order() {
    let all = r#""volumes":[{},{"image":{"reference":"v"}}],"ephemeralContainers":[{"image":"e"}],
        "containers":[{"image":"a"},{},{"image":"c"}],"initContainers":[{"image":"i"}],"imagePullSecrets":[{"name":"s"},{"name":"s"}]"#;
    let metadata = |members| object(&format!(r#"{{"spec":{{}},"metadata":{{{members}}}}}"#));
    check(&[
        (
            "every list",
            spec(all),
            "/spec/initContainers/0/image=i /spec/containers/0/image=a /spec/containers/2/image=c \
             /spec/ephemeralContainers/0/image=e /spec/volumes/1/image/reference=v secrets secret=s secret=s",
        ),
        (
            "opted out",
            metadata(r#""labels":{"pullkey.dev/inject":"false"}"#),
            "opted-out",
        ),
        ("opted in", metadata(r#""labels":{"pullkey.dev/inject":"true"}"#), ""),
        (
            "false of another case",
            metadata(r#""labels":{"pullkey.dev/inject":"False"}"#),
            "",
        ),
        (
            "the label as an annotation",
            metadata(r#""annotations":{"pullkey.dev/inject":"false"}"#),
            "",
        ),
        (
            "mirror",
            metadata(r#""annotations":{"kubernetes.io/config.mirror":"x"}"#),
            "mirror",
        ),
        (
            "mirror of no value",
            metadata(r#""annotations":{"kubernetes.io/config.mirror":null}"#),
            "mirror",
        ),
        (
            "the annotation as a label",
            metadata(r#""labels":{"kubernetes.io/config.mirror":"x"}"#),
            "",
        ),
        (
            "a service account",
            spec(r#""serviceAccountName":"builder""#),
            "account=builder",
        ),
        ("the deprecated name of it", spec(r#""serviceAccount":"builder""#), ""),
        (
            "images elsewhere",
            object(r#"{"image":"x","spec":{"image":"y"},"status":{"containers":[{"image":"z"}]}}"#),
            "",
        ),
    ]);
}

#[test]
fn the_last_of_several_members_counts_wholly() {
    let spec_a = r#""spec":{"containers":[{"image":"a"}]}"#;
    let whole = object(&format!("{{{spec_a}}}"));
    check(&[
        ("kind", whole.replacen('{', r#"{"kind":1,"#, 1), A),
        (
            "kind, the last is wrong",
            whole.replacen(r#","request""#, r#","kind":"Pod","request""#, 1),
            r#"Kind(Some("Pod"))"#,
        ),
        (
            "request",
            whole.replacen('{', r#"{"request":{"uid":"x","operation":1,"object":1},"#, 1),
            A,
        ),
        (
            "request, the last is null",
            format!(r#"{},"request":null}}"#, whole.strip_suffix('}').unwrap()),
            "NoRequest",
        ),
        ("uid", request(r#""uid":null"#), "NoUid"),
        ("operation", request(r#""operation":1,"operation":"CREATE""#), "absent"),
        (
            "operation, the last is wrong",
            request(r#""operation":"CREATE","operation":1"#),
            "`request.operation` is not a string",
        ),
        (
            "object",
            request(&format!(r#""object":{{"metadata":1,"spec":1}},"object":{{{spec_a}}}"#)),
            A,
        ),
        (
            "object, the last is null",
            request(&format!(r#""object":{{{spec_a}}},"object":null"#)),
            "absent",
        ),
        (
            "metadata",
            object(&format!(
                r#"{{"metadata":{{"labels":{{"pullkey.dev/inject":"false"}}}},"metadata":{{}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "annotations",
            object(&format!(
                r#"{{"metadata":{{"annotations":{{"kubernetes.io/config.mirror":""}},"annotations":{{}}}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "label",
            object(&format!(
                r#"{{"metadata":{{"labels":{{"pullkey.dev/inject":"false","pullkey.dev/inject":""}}}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "spec",
            object(&format!(
                r#"{{"spec":{{"imagePullSecrets":[{{"name":"s"}}],"containers":0}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "spec, the last is null",
            object(&format!(r#"{{{spec_a},"spec":null}}"#)),
            "`spec` is not an object",
        ),
        (
            "containers",
            spec(r#""containers":[{"image":"x"},{"image":1}],"containers":[{"image":"a"}]"#),
            A,
        ),
        (
            "containers, the last is empty",
            spec(r#""containers":[{"image":"x"}],"containers":[]"#),
            "",
        ),
        ("image", spec(r#""containers":[{"image":1,"image":"a"}]"#), A),
        (
            "image, the last is null",
            spec(r#""containers":[{"image":"a","image":null}]"#),
            "",
        ),
        (
            "image in escapes",
            spec(r#""containers":[{"image":"x","\u0069mage":"a"}]"#),
            A,
        ),
        (
            "volume's image",
            spec(r#""volumes":[{"image":1,"image":{"reference":1,"reference":"v"}}]"#),
            "/spec/volumes/0/image/reference=v",
        ),
    ]);
}

#[test]
fn every_refusal_is_a_sentence_that_says_what_is_accepted() {
    let accepted = "only an `AdmissionReview` of `admission.k8s.io/v1` in JSON is accepted";
    let version = |text: &str| format!(r#"{{"kind":"AdmissionReview","apiVersion":"{text}"}}"#).into_bytes();
    for (body, sentence) in [
        (b"\xff".to_vec(), format!("the body is not UTF-8 at byte 0: {accepted}")),
        (
            b"<html>".to_vec(),
            format!("the body is not JSON at byte 0: {accepted}"),
        ),
        (b"[]".to_vec(), format!("the body is not a JSON object: {accepted}")),
        (
            vec![b'['; 129],
            "the body nests arrays and objects too deep: at most 128 levels are accepted".to_owned(),
        ),
        (b"{}".to_vec(), format!("the body has no `kind`: {accepted}")),
        (
            version("admission.k8s.io/v1beta1"),
            format!(
                "the `apiVersion` is `admission.k8s.io/v1beta1`: {accepted}, \
                 so the webhook has to be registered with `admissionReviewVersions: [v1]`"
            ),
        ),
        (
            version("admission.k8s.io/v1"),
            "the review has no `request`: an object is required there".to_owned(),
        ),
        (
            request(r#""uid":"""#).into_bytes(),
            "the request has no `uid`: a string that is not empty is required there".to_owned(),
        ),
    ] {
        assert_eq!(read(&body).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn a_wrong_value_is_shown_on_one_line_and_not_at_any_length() {
    let kind = format!(r"a\n\u001b{}", "\u{e9}".repeat(100_000));
    let sentence = read(format!(r#"{{"kind":"{kind}"}}"#).as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        sentence.starts_with("the `kind` is `a\\n\\u{1b}\u{e9}\u{e9}"),
        "{sentence}"
    );
    assert!(
        sentence.chars().all(|character| !character.is_control()) && sentence.len() < 300,
        "{sentence}"
    );
}

#[test]
fn texts_are_borrowed_from_the_body() {
    let body = image(r#""ghcr.io/acme/app""#);
    let Object::Pod(pod) = read(body.as_bytes()).unwrap().object else {
        panic!("no Pod");
    };
    assert!(matches!(pod.images[0].reference, std::borrow::Cow::Borrowed(_)));
}
