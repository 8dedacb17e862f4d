use super::*;

const NOW: &str = "2026-11-22T10:00:00Z";

fn at(text: &str) -> Hour {
    hour(text.parse().unwrap()).unwrap()
}

#[test]
fn a_status_goes_only_forward_and_never_ahead_of_the_clock() {
    let (early, late) = ("2026-11-22T07:00:00Z", "2026-11-22T09:00:00Z");
    for (name, status, heard, expected) in [
        ("never", None, None, None),
        ("the first match", None, Some(early), Some(early)),
        ("nothing was heard yet", Some(early), None, Some(early)),
        ("a later one", Some(early), Some(late), Some(late)),
        ("an earlier one", Some(late), Some(early), Some(late)),
        (
            "a clock that is a little ahead",
            None,
            Some("2026-11-22T11:00:00Z"),
            Some("2026-11-22T11:00:00Z"),
        ),
        (
            "a clock that is wrong",
            Some(early),
            Some("2026-11-22T12:00:00Z"),
            Some(early),
        ),
        (
            "one that was wrong",
            Some("2027-01-01T00:00:00Z"),
            Some(early),
            Some(early),
        ),
        (
            "one that was wrong, and nothing since",
            Some("2027-01-01T00:00:00Z"),
            None,
            None,
        ),
        ("no time at all", Some("soon"), Some(early), Some(early)),
    ] {
        let status = status.map(Timestamp::new);
        let latest = latest(status.as_ref(), heard.map(at), at(NOW));
        assert_eq!(latest.as_ref().map(Timestamp::as_str), expected, "{name}");
    }
}

#[tokio::test]
async fn a_round_is_begun_when_its_time_has_come_and_none_beside_another() {
    let second = Duration::from_secs(1);
    let mut nobody = Inquiry::new(Matches {
        replicas: Vec::new(),
        interval: second,
    });
    assert_eq!(nobody.turn(second), None);
    assert!(nobody.round.is_empty());

    let mut inquiry = Inquiry::new(Matches {
        replicas: vec!["127.0.0.1:1".parse().unwrap()],
        interval: 300 * second,
    });
    assert_eq!(inquiry.turn(second), None);
    assert_eq!((inquiry.round.len(), inquiry.turn(400 * second)), (1, None));
    assert_eq!(inquiry.round.len(), 1);
    let heard = inquiry.next_answer().await.unwrap().unwrap();
    assert_eq!((heard.hours.len(), heard.troubles.len()), (0, 1));
    assert_eq!(inquiry.turn(2 * second), Some(301 * second));
    assert!(inquiry.round.is_empty());
    inquiry.turn(301 * second);
    inquiry.stop();
    assert!(inquiry.round.is_empty());
}
