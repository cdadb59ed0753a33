//! Tests of the language of `where=`.

use proptest::prelude::*;

use super::*;

/// `expr` in the language, every `and` and `or` in parentheses of its own.
fn print(expr: &Expr) -> String {
    match expr {
        Expr::Compare {
            attribute,
            operator,
            value,
        } => {
            let operator = match operator {
                Operator::Equal => "=",
                Operator::NotEqual => "!=",
                Operator::Less => "<",
                Operator::LessOrEqual => "<=",
                Operator::Greater => ">",
                Operator::GreaterOrEqual => ">=",
            };
            format!("{}{operator}{}", quoted(attribute, '`'), value)
        }
        Expr::In { attribute, values } => {
            let values: Vec<_> = values.iter().map(Literal::to_string).collect();
            format!("{} IN ({})", quoted(attribute, '`'), values.join(", "))
        }
        Expr::IsNull { attribute } => format!("{} Is Null", quoted(attribute, '`')),
        Expr::And(left, right) => format!("({} and {})", print(left), print(right)),
        Expr::Or(left, right) => format!("({} or {})", print(left), print(right)),
        Expr::Not(inner) => format!("not {}", print(inner)),
    }
}

fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<String>().prop_map(Literal::Str),
        any::<i64>().prop_map(Literal::Int),
        prop::num::f64::NORMAL.prop_map(Literal::Float),
        prop::num::f64::SUBNORMAL.prop_map(Literal::Float),
    ]
}

fn any_operator() -> impl Strategy<Value = Operator> {
    prop::sample::select(vec![
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ])
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        (any::<String>(), any_operator(), any_literal()).prop_map(
            |(attribute, operator, value)| Expr::Compare {
                attribute,
                operator,
                value
            }
        ),
        (any::<String>(), prop::collection::vec(any_literal(), 1..4))
            .prop_map(|(attribute, values)| Expr::In { attribute, values }),
        any::<String>().prop_map(|attribute| Expr::IsNull { attribute }),
    ];
    leaf.prop_recursive(8, 64, 2, |inner| {
        let two = (
            inner.clone().prop_map(Box::new),
            inner.clone().prop_map(Box::new),
        );
        prop_oneof![
            two.clone().prop_map(|(left, right)| Expr::And(left, right)),
            two.prop_map(|(left, right)| Expr::Or(left, right)),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_gives_the_expression_back(expr in any_expr()) {
        prop_assert_eq!(parse(&print(&expr)).unwrap(), expr);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_sequence_of_tokens_panics(tokens in prop::collection::vec(
        prop::sample::select(vec![
            "a", "`b`", "and", "OR", "not", "in", "is", "null", "(", ")", ",", "=", "<>", "!",
            "-1", ".5", "1e9", "'x'", "\"y\"", "'", "`", "é", "\n", ";",
        ]), 0..24)
    ) {
        let _ = parse(&tokens.join(" "));
        let _ = parse(&tokens.concat());
    }
}

fn compare(attribute: &str, operator: Operator, value: Literal) -> Expr {
    Expr::Compare {
        attribute: attribute.into(),
        operator,
        value,
    }
}

fn is(attribute: &str) -> Expr {
    compare(attribute, Operator::Equal, Literal::Int(1))
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::And(Box::new(left), Box::new(right))
}

fn or(left: Expr, right: Expr) -> Expr {
    Expr::Or(Box::new(left), Box::new(right))
}

fn not(inner: Expr) -> Expr {
    Expr::Not(Box::new(inner))
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn every_construct() {
    let text = "lang = 'en' and (year >= 2020 or not (score < .5)) and tag in ('a', \"b\") \
                and year is null and kind IS NOT NULL and tag not in (-1)";
    let [a, b] = ["a", "b"].map(|text| Literal::Str(text.into()));
    let language = compare("lang", Operator::Equal, Literal::Str("en".into()));
    let year = compare("year", Operator::GreaterOrEqual, Literal::Int(2020));
    let score = compare("score", Operator::Less, Literal::Float(0.5));
    let tags = Expr::In {
        attribute: "tag".into(),
        values: vec![a, b],
    };
    let no_year = Expr::IsNull {
        attribute: "year".into(),
    };
    let kind = not(Expr::IsNull {
        attribute: "kind".into(),
    });
    let no_tag = not(Expr::In {
        attribute: "tag".into(),
        values: vec![Literal::Int(-1)],
    });
    let first = and(language, and(or(year, not(score)), tags));
    assert_eq!(
        parse(text).unwrap(),
        and(first, and(no_year, and(kind, no_tag)))
    );
}

#[test]
fn not_binds_closer_than_and_and_closer_than_or() {
    let expected = or(is("a"), and(not(is("b")), is("c")));
    assert_eq!(parse("a=1 or not b=1 and c=1").unwrap(), expected);
    let grouped = and(not(or(is("a"), is("b"))), not(not(is("c"))));
    assert_eq!(parse("NOT(a=1 OR b=1)AND not not c=1").unwrap(), grouped);
}

#[test]
fn every_spelling_of_an_operator() {
    use Operator::*;
    let spellings = [
        ("=", Equal),
        ("==", Equal),
        ("!=", NotEqual),
        ("<>", NotEqual),
        ("<", Less),
        ("<=", LessOrEqual),
        (">", Greater),
        (">=", GreaterOrEqual),
    ];
    for (text, operator) in spellings {
        let expected = compare("a", operator, Literal::Int(-2));
        assert_eq!(parse(&format!("a{text}-2")).unwrap(), expected);
        assert_eq!(parse(&format!(" a\n{text}\t-2 ")).unwrap(), expected);
    }
}

#[test]
fn every_form_of_a_value() {
    let cases = [
        ("0", Literal::Int(0)),
        ("-9223372036854775808", Literal::Int(i64::MIN)),
        ("9223372036854775807", Literal::Int(i64::MAX)),
        (".5", Literal::Float(0.5)),
        ("-.5", Literal::Float(-0.5)),
        ("2.", Literal::Float(2.0)),
        ("1E+3", Literal::Float(1000.0)),
        ("25e-2", Literal::Float(0.25)),
        ("''", Literal::Str(String::new())),
        ("'it''s'", Literal::Str("it's".into())),
        ("\"it's \"\"so\"\"\"", Literal::Str("it's \"so\"".into())),
        ("'and \\n `'", Literal::Str("and \\n `".into())),
    ];
    for (text, value) in cases {
        let expected = compare("x", Operator::Equal, value);
        assert_eq!(parse(&format!("x={text}")).unwrap(), expected, "{text}");
    }
}

#[test]
fn attributes_in_backquotes_may_be_anything() {
    assert_eq!(parse("`and` = 1").unwrap(), is("and"));
    assert_eq!(
        parse("`pages (total)``é`=1").unwrap(),
        is("pages (total)`é")
    );
    assert_eq!(parse("_a9 = 1").unwrap(), is("_a9"));
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    let cases = [
        (
            "",
            "expected an attribute, 'not' or '(' at column 1, found the end",
        ),
        (
            "a",
            "expected a comparison, 'in' or 'is' at column 2, found the end",
        ),
        (
            "a = ",
            "expected a number or a text in quotes at column 5, found the end",
        ),
        (
            "lang = en",
            "expected a number or a text in quotes at column 8, found 'en'",
        ),
        (
            "a = null",
            "expected a number or a text in quotes at column 5, found 'null'",
        ),
        (
            "a like 'x'",
            "expected a comparison, 'in' or 'is' at column 3, found 'like'",
        ),
        ("a is 1", "expected 'null' at column 6, found '1'"),
        ("a not 1", "expected 'in' at column 7, found '1'"),
        (
            "a in ()",
            "expected a number or a text in quotes at column 7, found ')'",
        ),
        ("a in (1 2)", "expected ',' or ')' at column 9, found '2'"),
        (
            "(a = 1",
            "expected 'and', 'or' or ')' at column 7, found the end",
        ),
        (
            "a = 1 b = 2",
            "expected 'and', 'or' or the end at column 7, found 'b'",
        ),
        (
            "in = 1",
            "expected an attribute, 'not' or '(' at column 1, found 'in'",
        ),
        (
            "a ! 1",
            "expected a comparison, 'in' or 'is' at column 3, found '!'",
        ),
        (
            "'é' = 'x",
            "expected an attribute, 'not' or '(' at column 1, found ''é''",
        ),
        (
            "`é` = 'x",
            "expected a closing ' for the text that opens at column 7",
        ),
        (
            "`é",
            "expected a closing ` for the text that opens at column 1",
        ),
        (
            "`é` =\n;",
            "expected a number or a text in quotes at column 7, found ';'",
        ),
        (
            "é = 1",
            "expected an attribute, 'not' or '(' at column 1, found 'é'",
        ),
        ("a = \"x\n\" \u{1}", "the end at column 10, found ' '"),
    ];
    for (text, expected) in cases {
        let message = message(text);
        assert!(
            message.starts_with("where: ") && message.ends_with(expected),
            "{message}"
        );
    }
}

#[test]
fn numbers_that_do_not_fit_are_errors() {
    let numbers = [
        "9223372036854775808",
        "-9223372036854775809",
        "1e999",
        "-1e999",
        "-",
        "--1",
        ".",
        "1.2.3",
        "1e",
        "5abc",
        "1_000",
        "0x10",
        "-inf",
        "-nan",
        "1e+",
        "1-",
    ];
    for number in numbers {
        assert!(parse(&format!("a = {number}")).is_err(), "{number}");
    }
    assert!(message("a = 1e999").ends_with("finite number at column 5, found '1e999'"));
}

#[test]
fn a_long_token_is_cut_in_the_message() {
    let message = message(&format!("a = {}", "x".repeat(MAX_BYTES / 2)));
    assert!(
        message.ends_with("found 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"),
        "{message}"
    );
}

#[test]
fn nesting_has_a_limit() {
    for (open, close) in [("(", ")"), ("not ", "")] {
        let nested = |n: usize| format!("{}a=1{}", open.repeat(n), close.repeat(n));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(message(&nested(MAX_DEPTH + 1)).contains("at most 128 levels"));
        assert!(message(&nested(MAX_BYTES / 8)).contains("at most 128 levels"));
    }
}

#[test]
fn length_has_a_limit() {
    let padded = |length: usize| "a=1".to_owned() + &" ".repeat(length - 3);
    assert!(parse(&padded(MAX_BYTES)).is_ok());
    assert!(message(&padded(MAX_BYTES + 1)).contains("65537 bytes and may have 65536"));
}

fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::And(left, right) | Expr::Or(left, right) => 1 + depth(left).max(depth(right)),
        Expr::Not(inner) => 1 + depth(inner),
        _ => 1,
    }
}

#[test]
fn chains_are_balanced() {
    let chain = vec!["a=1"; 8_192].join(" or ");
    assert_eq!(depth(&parse(&chain).unwrap()), 14);
}

/// About the worst a text can do: every level puts the next one at the end of two chains.
#[test]
fn the_deepest_expression_fits_a_small_stack() {
    let level = "a=1 or ".repeat(31) + &"a=1 and ".repeat(31) + "(";
    let text = level.repeat(MAX_DEPTH) + "a=1" + &")".repeat(MAX_DEPTH);
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let parsed = thread.spawn(move || depth(&parse(&text).unwrap()));
    assert_eq!(parsed.unwrap().join().unwrap(), 10 * MAX_DEPTH + 1);
}
