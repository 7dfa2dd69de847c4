//! Answers that are whole, cut off, endless, garbled or lies, in pieces of every size.

use super::*;

/// Reads an answer that comes in pieces of `size` bytes, and then ends as `end` says.
fn read_by(size: usize, answer: &[u8], end: Reach, is_head: bool) -> HttpResponse {
    let mut reader = Reader::new(is_head).unwrap();
    for piece in answer.chunks(size) {
        if let Some(response) = reader.take(piece, None) {
            return response;
        }
    }
    reader.take(&[], Some(end)).unwrap()
}

/// Reads an answer, in pieces of several sizes, with the same result each time.
fn read(answer: &[u8], end: Reach) -> HttpResponse {
    let whole = read_by(answer.len().max(1), answer, end, false);
    for size in [1, 2, 7, 100, 4096] {
        assert_eq!(read_by(size, answer, end, false), whole, "in pieces of {size}");
    }
    whole
}

fn is_nothing(response: &HttpResponse) -> bool {
    *response == crate::seam::unanswered(Reach::Silent)
}

#[test]
fn an_answer_ends_where_it_says() {
    for (answer, end) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Reach::Silent),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and much more that nobody asked for", Reach::Silent),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", Reach::Silent),
        ("HTTP/1.0 200 OK\r\n\r\nhello", Reach::Open),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", Reach::Open),
    ] {
        let response = read(answer.as_bytes(), end);
        assert_eq!((response.reach, response.status), (Reach::Open, 200), "{answer}");
        assert_eq!((response.body.as_slice(), response.truncated), (b"hello".as_slice(), false), "{answer}");
    }
    for answer in ["HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n"] {
        assert_eq!(read(answer.as_bytes(), Reach::Silent).reach, Reach::Open, "{answer}");
    }
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(read_by(3, head, Reach::Silent, true).reach, Reach::Open);
    assert_eq!(read_by(3, head, Reach::Silent, false).reach, Reach::Silent);
}

#[test]
fn a_redirection_is_an_answer_and_not_followed() {
    let response = read(b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n", Reach::Silent);
    assert_eq!((response.reach, response.status), (Reach::Open, 302));
    assert_eq!(response.headers[0], ("location".to_owned(), "http://evil/".to_owned()));
}

#[test]
fn what_is_not_complete_is_silence_with_what_came() {
    for (answer, end) in [
        ("HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\nhello", Reach::Open),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\nhello", Reach::Silent),
        ("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Reach::Open),
        ("HTTP/1.0 500 Oh\r\n\r\nhello", Reach::Silent),
    ] {
        let response = read(answer.as_bytes(), end);
        assert_eq!(
            (response.reach, response.status, response.body.as_slice()),
            (Reach::Silent, 500, b"hello".as_slice()),
            "{answer}"
        );
    }
}

#[test]
fn a_body_that_is_cut_into_nonsense_is_not_kept() {
    let response =
        read(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n", Reach::Open);
    assert_eq!((response.reach, response.status), (Reach::Silent, 500));
    assert!(response.body.is_empty());
}

#[test]
fn what_is_not_http_is_silence() {
    for answer in [
        "",
        "hello",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n",
    ] {
        let response = read(answer.as_bytes(), Reach::Open);
        assert!(is_nothing(&response), "{answer:?}: {response:?}");
    }
}

#[test]
fn a_flood_is_cut_off() {
    let many: String = (0..129).map(|n| format!("x-{n}: y\r\n")).collect();
    assert!(is_nothing(&read(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes(), Reach::Open)));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(HEAD_BYTES));
    assert!(is_nothing(&read_by(4096, long.as_bytes(), Reach::Open, false)));
    assert!(is_nothing(&read_by(100_000, long.as_bytes(), Reach::Open, false)));
    // It is over before the other side ends.
    let mut reader = Reader::new(false).unwrap();
    let endless = std::iter::repeat_n([b'x'; 4096], 9).find_map(|piece| reader.take(&piece, None));
    assert!(endless.is_some());
}

#[test]
fn a_long_body_is_cut_and_said_to_be() {
    for (head, chunk) in [
        ("HTTP/1.1 200 OK\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "fffff\r\n"),
    ] {
        let mut answer = format!("{head}{chunk}").into_bytes();
        answer.extend(std::iter::repeat_n(b'x', 70_000));
        let response = read_by(4096, &answer, Reach::Silent, false);
        assert_eq!(
            (response.reach, response.body.len(), response.truncated),
            (Reach::Open, BODY_BYTES, true),
            "{head}"
        );
    }
    let exact = [b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n".as_slice(), &vec![b'x'; BODY_BYTES]].concat();
    let response = read_by(4096, &exact, Reach::Silent, false);
    assert_eq!((response.reach, response.truncated), (Reach::Open, false));
}

proptest::proptest! {
    #[test]
    fn whatever_comes_there_is_an_end(bytes in proptest::collection::vec(0_u8.., 0..2000), size in 1_usize..600) {
        let _ = read_by(size, &bytes, Reach::Open, false);
        let after = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &bytes].concat();
        let response = read_by(size, &after, Reach::Open, false);
        proptest::prop_assert!(response.body.len() <= BODY_BYTES && response.status == 200);
    }

    #[test]
    fn lines_that_look_like_http_do_no_harm(lines in "HTTP/1\\.[01] [0-9]{3} [a-z]{0,3}\r\n((content-length|transfer-encoding|x): ([0-9]{1,3}|chunked|,)\r\n){0,4}\r\n([0-9a-f]{1,3}\r\n[a-z]{0,20}\r\n){0,4}", size in 1_usize..60) {
        let whole = read_by(10_000, lines.as_bytes(), Reach::Open, false);
        proptest::prop_assert_eq!(read_by(size, lines.as_bytes(), Reach::Open, false), whole);
    }
}
