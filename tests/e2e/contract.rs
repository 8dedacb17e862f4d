//! What the API server does by itself, and our answers are built upon: what it asks, and what becomes of a Pod whose
//! webhook answers badly. Another webhook stands in here, since ours gives no such answers.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::harness::{Namespace, Other, allowed, named, pod, unique, with};

/// What becomes of a Pod by the `failurePolicy`, `Ignore` first, and the answer that is given.
type Row = (&'static str, [u16; 2], fn(&Value) -> Response);

const ANSWERS: &[Row] = &[
    ("an empty patch", [201, 201], |request| allowed(request, &json!([]))),
    // Calls that failed: the failurePolicy decides.
    ("a status of failure", [201, 500], |_| {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }),
    ("a status of the caller's fault", [201, 500], |_| {
        StatusCode::BAD_REQUEST.into_response()
    }),
    ("no JSON", [201, 500], |_| Response::new("well".into())),
    ("no response", [201, 500], |_| answered(&json!(null))),
    ("no kind", [201, 500], |request| {
        let review = json!({"response": {"uid": request["uid"], "allowed": true}});
        Response::new(review.to_string().into())
    }),
    ("another uid", [201, 500], |_| {
        answered(&json!({"uid": "0", "allowed": true}))
    }),
    ("a patch without its type", [201, 500], |request| {
        answered(&json!({"uid": request["uid"], "allowed": true, "patch": "W10="}))
    }),
    ("a type without its patch", [201, 500], |request| {
        answered(&json!({"uid": request["uid"], "allowed": true, "patchType": "JSONPatch"}))
    }),
    ("a patch that is none", [201, 500], |request| {
        allowed(request, &json!({}))
    }),
    // Calls that did not fail: nothing softens them.
    ("a denial", [400, 400], |request| {
        answered(&json!({"uid": request["uid"], "allowed": false}))
    }),
    ("an end of no list", [500, 500], |request| {
        let entry = json!({"name": "a-pull"});
        allowed(
            request,
            &json!([{"op": "add", "path": "/spec/imagePullSecrets/-", "value": entry}]),
        )
    }),
    ("a test that fails", [500, 500], |request| {
        allowed(
            request,
            &json!([{"op": "test", "path": "/spec/hostNetwork", "value": true}]),
        )
    }),
    ("what is no Pod", [500, 500], |request| {
        allowed(
            request,
            &json!([{"op": "add", "path": "/spec/imagePullSecrets", "value": "a"}]),
        )
    }),
];

/// A review with that response.
fn answered(response: &Value) -> Response {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Response::new(review.to_string().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_call_that_failed_is_forgiven() {
    for (policy, failure_policy) in ["Ignore", "Fail"].into_iter().enumerate() {
        let namespace = Namespace::with_labels(&json!({})).await;
        let _other = Other::start(&unique("other"), failure_policy, &namespace, |request| {
            let row = request["object"]["metadata"]["annotations"]["row"].as_str();
            let row = ANSWERS.iter().find(|(what, ..)| Some(*what) == row);
            row.map_or_else(|| allowed(request, &json!([])), |(_, _, answer)| answer(request))
        })
        .await;
        for (what, statuses, _) in ANSWERS {
            let pod = with(
                "metadata",
                &json!({"annotations": {"row": what}}),
                pod(&["a.example/app"]),
            );
            let answer = namespace.try_pod(&pod).await;
            assert_eq!(
                answer.status, statuses[policy],
                "{what}, {failure_policy}: {}",
                answer.object
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_says_what_we_build_on() {
    let namespace = Namespace::with_labels(&json!({})).await;
    let other = Other::start(&unique("other"), "Fail", &namespace, |request| {
        answered(&json!({"uid": request["uid"], "allowed": true, "warnings": ["a \"word\" of warning"]}))
    })
    .await;
    let pods = namespace.path("pods", "");
    let ask = async |path: &str, pod: Value| {
        let answer = namespace.api.create(path, &pod).await;
        assert_eq!(answer.warnings, ["a \"word\" of warning"]);
        answer.good();
        other.seen().pop().unwrap()
    };
    let generated = ask(&pods, pod(&["a.example/app"])).await;
    let dry = ask(&format!("{pods}?dryRun=All"), named("dry", pod(&["a.example/app"]))).await;
    let stranger = with(
        "metadata",
        &json!({"namespace": null}),
        named("app", pod(&["a.example/app"])),
    );
    let stranger = ask(&pods, stranger).await;

    assert_eq!(
        (&generated["name"], &generated["dryRun"]),
        (&json!(null), &json!(false))
    );
    assert_eq!((&dry["name"], &dry["dryRun"]), (&json!("dry"), &json!(true)));
    for request in [generated, dry, stranger] {
        assert_eq!(request["namespace"], namespace.name.as_str());
        assert_eq!(request["object"]["metadata"]["namespace"], namespace.name.as_str());
        assert_eq!(request["operation"], "CREATE");
        assert_eq!(
            request["resource"],
            json!({"group": "", "version": "v1", "resource": "pods"})
        );
        assert_eq!(
            (&request["subResource"], &request["oldObject"]),
            (&json!(null), &json!(null))
        );
        assert!(request["object"]["spec"].get("imagePullSecrets").is_none());
        // Defaults and the account's volume are there before us.
        assert_eq!(request["object"]["spec"]["serviceAccountName"], "default");
        assert_eq!(request["object"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
    }
}
