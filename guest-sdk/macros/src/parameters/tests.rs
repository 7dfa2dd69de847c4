use syn::{DeriveInput, parse_str};

/// What the derive says to an agent with one parameter.
fn told(agent: &str, docs: &str, parameter: &str, field: &str) -> String {
    let text = format!(
        "/// Agent\n#[agent(name = \"a/b\"{agent})] struct A {{ #[doc = \"{docs}\"] #[parameter({parameter})] {field}, \
         /// Other\n other: Option<String> }}"
    );
    let input: DeriveInput = parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match super::expand(&input) {
        Ok(tokens) => tokens.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn deeper_monitors_are_written_down() {
    let agent = ", check_level(20, timeout = \"1m\", interval = \"2m\",), check_level(10, timeout = \"30s\", interval = \"1m\")";
    let written = told(agent, "Text", "required", "p: String");
    assert!(
        written.contains(
            r#"\"monitors\":[{\"level\":20,\"timeout\":\"1m\",\"interval\":\"2m\"},{\"level\":10,\"timeout\":\"30s\",\"interval\":\"1m\"}]"#
        ),
        "{written}"
    );
    let written = told("", "Text", "required", "p: String");
    assert!(written.contains(r#"\"monitors\":[]"#), "{written}");
}

#[test]
fn what_no_reader_could_take_does_not_compile() {
    let times = "timeout = \"30s\", interval = \"1m\"";
    for (agent, says) in [
        (", check_level", "expected check_level(10, timeout"),
        (", check_level(10)", "expected check_level(10, timeout"),
        (", check_level(10, timeout = \"30s\")", "expected check_level(10, timeout"),
        (&format!(", check_level(\"10\", {times})"), "expected check_level(10, timeout"),
        (&format!(", check_level(10, {times}, depth = \"1s\")"), "expected check_level(10, timeout"),
        (&format!(", check_level(0, {times})"), "0 is the plain monitor"),
        (&format!(", check_level(256, {times})"), "a check level is 1-255"),
        (&format!(", check_level(10, {times}), check_level(10, {times})"), "there twice"),
        (&format!(", check_level(10, {times}), check_level(20, timeout = \"9s\", interval = \"60s\")"), "one interval"),
        (&format!(", interval = \"60s\", check_level(10, {times})"), "one interval"),
        (", check_level(10, timeout = \"30\", interval = \"1m\")", "a time is a number and"),
        (", depth = \"10\"", "expected name, interval, check_level or the timeout"),
    ] {
        let told = told(agent, "Text", "required", "p: String");
        assert!(told.contains(says), "{agent}: {told}");
    }
    for (docs, parameter, field, says) in [
        ("\\u{7}", "required", "p: String", "no reader of the metadata takes this character"),
        ("\\u{fffe}", "required", "p: String", "no reader of the metadata takes this character"),
        (" ", "required", "p: String", "describe the parameter"),
        ("Text", "default = \"a\\tb\"", "p: String", "cannot hold this character in a default"),
        ("Text", "default = \"a\\u{ffff}b\"", "p: String", "cannot hold this character in a default"),
        ("Text", "required, default = \"a\"", "p: String", "a parameter with a default is not required"),
        ("Text", "required, deprecated = \"old\"", "p: String", "it is not deprecated"),
        ("Text", "required, replaced_with = \"other\"", "p: String", "belongs to deprecated"),
        ("Text", "default = \"\", deprecated = \"old\", replaced_with = \"p\"", "p: String", "no other parameter"),
        ("Text", "default = \"\", deprecated = \"old\", replaced_with = \"q\"", "p: String", "no other parameter"),
        ("Text", "default = \"\", deprecated = \"\\u{1}\"", "p: String", "expected some text"),
        ("Text", "required, unique_group = \"a b\"", "p: String", "a group is one word"),
        ("Text", "default = \"x\"", "password: String", "a secret has no default"),
        ("Text", "required, unique", "passwd: String", "a secret cannot be unique"),
        ("Text", "required", "trace_ra: String", "uses this name for something else"),
        ("Text", "required", "CRM_meta_name: String", "begins neither with"),
    ] {
        let told = told("", docs, parameter, field);
        assert!(told.contains(says), "{parameter} {field}: {told}");
    }
    for (docs, parameter, field) in [
        ("Text", "required", "password: String"),
        ("Text", "default = \"\", deprecated = \"old\", replaced_with = \"other\"", "p: String"),
        ("Text", "required, unique_group = \"a-b\"", "p: String"),
    ] {
        let written = told("", docs, parameter, field);
        assert!(written.contains("const METADATA"), "{parameter} {field}: {written}");
    }
}
