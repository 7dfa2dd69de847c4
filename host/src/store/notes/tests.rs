use super::*;

/// The notes of an agent with one parameter, each changed by replacing text in it.
fn notes(agent: &[(&str, &str)], parameter: &[(&str, &str)]) -> String {
    let mut first = r#"{"agent":{"name":"a/b","version":"1","short":"s","long":"l","interval":"10s","timeouts":{"start":"20s"},"monitors":[{"level":20,"timeout":"9s","interval":"60s"},{"level":10,"timeout":"8s","interval":"30s"}]}}"#.to_owned();
    let mut second = r#"{"parameter":{"name":"p","type":"string","required":false,"default":null,"unique":null,"reloadable":false,"short":"s","long":"l","options":[],"min":null,"max":null,"deprecated":null}}"#.to_owned();
    for (text, changes) in [(&mut first, agent), (&mut second, parameter)] {
        for (from, to) in changes {
            assert!(text.contains(from), "{from} is not in {text}");
            *text = text.replace(from, to);
        }
    }
    format!("{first}\n{second}\n")
}

#[test]
fn what_is_said_is_described() {
    let (description, _) = read(&notes(&[], &[]), "", Exports::default()).unwrap();
    let levels: Vec<u8> = description.monitors.iter().map(|monitor| monitor.level).collect();
    assert_eq!(levels, [10, 20]);
    assert_eq!(description.parameters.len(), 1);
    for (asked, meant) in [(0, None), (9, None), (10, Some(10)), (19, Some(10)), (20, Some(20)), (255, Some(20))] {
        assert_eq!(description.monitor(asked).map(|monitor| monitor.level), meant, "{asked}");
    }
    // What was written before there were deeper monitors.
    let old = notes(
        &[(
            r#","monitors":[{"level":20,"timeout":"9s","interval":"60s"},{"level":10,"timeout":"8s","interval":"30s"}]"#,
            "",
        )],
        &[],
    );
    assert!(read(&old, "", Exports::default()).unwrap().0.monitors.is_empty());
}

#[test]
fn what_no_reader_could_take_is_refused() {
    for (agent, parameter, says) in [
        (&[(r#""short":"s""#, r#""short":" ""#)][..], &[][..], "a/b: its short description is empty"),
        (&[(r#""long":"l""#, r#""long":"\u0007""#)], &[], "its long description has a character"),
        (&[(r#""version":"1""#, r#""version":"1\n2""#)], &[], "version 1\\n2: 1-64 letters"),
        (&[(r#""version":"1""#, r#""version":"1 signer=acme""#)], &[], "version 1 signer=acme: 1-64 letters"),
        (&[(r#""version":"1""#, r#""version":"1\"""#)], &[], "1-64 letters"),
        (&[(r#""version":"1""#, r#""version":"""#)], &[], "1-64 letters"),
        (&[(r#""interval":"10s""#, r#""interval":"0""#)], &[], "`0` is not a duration"),
        (&[(r#""start":"20s""#, r#""start":"soon""#)], &[], "`soon` is not a duration"),
        (&[(r#""level":20"#, r#""level":0"#)], &[], "check level 0 is the plain monitor"),
        (&[(r#""level":20"#, r#""level":10"#)], &[], "check level 10 is described twice"),
        (&[(r#""level":20"#, r#""level":300"#)], &[], "not a note"),
        (&[(r#""interval":"60s""#, r#""interval":"10s""#)], &[], "check level 20: two monitors of one interval"),
        (&[(r#""interval":"60s""#, r#""interval":"30s""#)], &[], "two monitors of one interval"),
        (&[], &[(r#""name":"p""#, r#""name":"-p""#)], "its name is a letter"),
        (&[], &[(r#""name":"p""#, r#""name":"p=1""#)], "its name is a letter"),
        (&[], &[(r#""name":"p""#, r#""name":"trace_ra""#)], "uses the name"),
        (&[], &[(r#""name":"p""#, r#""name":"CRM_meta_name""#)], "uses the name"),
        (&[], &[(r#""short":"s""#, r#""short":"""#)], "parameter p: its short description is empty"),
        (&[], &[(r#""short":"s""#, r#""short":"\ufffe""#)], "its short description has a character"),
        (&[], &[(r#""default":null"#, r#""default":"a\tb""#)], "its default has a character"),
        (&[], &[(r#""default":null"#, r#""default":"a\nb""#)], "its default has a line break"),
        (&[], &[(r#""required":false,"default":null"#, r#""required":true,"default":"x""#)], "is not required"),
        (&[], &[("\"p\"", "\"passwd\""), (r#""default":null"#, r#""default":"x""#)], "a secret has no default"),
        (&[], &[("\"p\"", "\"password\""), (r#""unique":null"#, r#""unique":"x""#)], "a secret cannot be unique"),
        (&[], &[(r#""unique":null"#, r#""unique":"x y""#)], "unique group `x y`"),
        (&[], &[(r#""type":"string""#, r#""type":"select""#)], "at least one option"),
        (&[], &[("\"string\"", "\"select\""), ("[]", r#"["a","a"]"#)], "option `a` is empty or there twice"),
        (&[], &[("\"string\"", "\"select\""), ("[]", r#"["a\nb"]"#)], "its option has a line break"),
        (
            &[],
            &[("\"string\"", "\"select\""), ("[]", r#"["a"]"#), (r#""default":null"#, r#""default":"b""#)],
            "default of",
        ),
        (&[], &[("\"string\"", "\"numeric\"")], "type `numeric` is not known"),
        (
            &[],
            &[(r#""deprecated":null"#, r#""deprecated":{"text":"t","replaced_with":"q"}"#)],
            "replaced by q, which is no other parameter",
        ),
        (
            &[],
            &[(r#""deprecated":null"#, r#""deprecated":{"text":"t","replaced_with":"p"}"#)],
            "replaced by p, which is no other parameter",
        ),
        (
            &[],
            &[
                (r#""required":false"#, r#""required":true"#),
                (r#""deprecated":null"#, r#""deprecated":{"text":"t","replaced_with":null}"#),
            ],
            "it is deprecated and required",
        ),
    ] {
        let told = read(&notes(agent, parameter), "", Exports::default()).unwrap_err();
        assert!(format!("{told:#}").contains(says), "{says}: {told:#}");
    }
    let twice = notes(&[], &[]) + notes(&[], &[]).lines().last().unwrap();
    assert!(format!("{:#}", read(&twice, "", Exports::default()).unwrap_err()).contains("declared twice"));
}

#[test]
fn what_an_operator_would_not_see_is_not_asked_for() {
    let ask = |kind: &str, name: &str, why: &str, suggest: &str| {
        let note = serde_json::json!({ "label": { "kind": kind, "name": name, "why": why, "suggest": suggest } });
        read(&notes(&[], &[]), &note.to_string(), Exports::default()).map(|(_, requests)| requests)
    };
    let table = "program = \"/usr/bin/true\"\n\tuser = \"\"\n[program.x.environment]\nA = \"b\"";
    assert_eq!(ask("program", "x", " two\nlines ", table).unwrap()[0].why, "two\nlines");
    for (kind, name, why, suggest, says) in [
        ("programs", "x", "", "", "there is program, path, endpoint"),
        ("program", "x]\n[program.evil", "", "", "a label is 1-64 of"),
        ("program", "X", "", "", "a label is 1-64 of"),
        ("program", "x", "\u{1b}[2J", "", "its reason has a character"),
        ("program", "x", "all is well\rrm", "", "its reason has a character"),
        ("program", "x", "", "user = \"a\" # \u{202e}", "a character that nobody sees (\\u{202e})"),
        ("program", "x", "", "user", "its suggestion is no part of a policy"),
        ("program", "x", "", "[program.evil]\nuser = \"root\"", "is about something else too"),
        ("program", "x", "", "[endpoint.y]\ntcp = 1", "is about something else too"),
    ] {
        let told = format!("{:#}", ask(kind, name, why, suggest).unwrap_err());
        assert!(told.contains(says), "{says}: {told}");
    }
    let note = r#"{"label":{"kind":"path","name":"x","why":"w"}}"#;
    let told = read(&notes(&[], &[]), &format!("{note}\n{note}"), Exports::default()).unwrap_err();
    assert!(told.to_string().contains("path x is asked for twice"), "{told:#}");
}
