//! Bodies by what they are about, and what both readers make of them in a few words.

use pullkey::admission::{Malformed, Object, Review};

use crate::oracle::both;

/// A review around members of a request.
pub(crate) fn request(members: &str) -> String {
    format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u",{members}}}}}"#)
}

/// A review around an object.
pub(crate) fn object(object: &str) -> String {
    request(&format!(r#""object":{object}"#))
}

/// A review around members of a Pod's spec.
pub(crate) fn spec(members: &str) -> String {
    object(&format!(r#"{{"spec":{{{members}}}}}"#))
}

/// A review around a value that the reader steps over.
pub(crate) fn ignored(value: &str) -> String {
    spec(&format!(r#""ignored":{value},"containers":[{{"image":"a"}}]"#))
}

/// A review around a value that the reader wants as a string.
pub(crate) fn image(value: &str) -> String {
    spec(&format!(r#""containers":[{{"image":{value}}}]"#))
}

/// The answer on one line.
pub(crate) fn summary(answer: &Result<Review<'_>, Malformed>) -> String {
    let review = match answer {
        Err(Malformed::NotJson { .. }) => return "not JSON".to_owned(),
        Err(Malformed::NotUtf8 { offset }) => return format!("not UTF-8 at {offset}"),
        Err(other) => return format!("{other:?}"),
        Ok(review) => review,
    };
    match &review.object {
        Object::Absent => "absent".to_owned(),
        Object::Undecodable(fault) => fault.to_string(),
        Object::Pod(pod) => {
            let mut words: Vec<String> = pod
                .images
                .iter()
                .map(|image| format!("{}={}", image.origin.pointer(), image.reference))
                .collect();
            words.extend(pod.has_pull_secrets.then(|| "secrets".to_owned()));
            words.extend(pod.pull_secrets.iter().map(|name| format!("secret={name}")));
            words.extend((!pod.service_account.is_empty()).then(|| format!("account={}", pod.service_account)));
            words.extend(pod.opted_out.then(|| "opted-out".to_owned()));
            words.extend(pod.mirror.then(|| "mirror".to_owned()));
            words.join(" ")
        }
    }
}

pub(crate) fn check(rows: &[(&str, String, &str)]) {
    for (name, body, expected) in rows {
        assert_eq!(summary(&both(body.as_bytes())), *expected, "{name}: {body}");
    }
}

pub(crate) const A: &str = "/spec/containers/0/image=a";
