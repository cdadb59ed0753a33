//! Which documents a search may return: `where=` expressions evaluated over attribute columns, and
//! explicit subsets. A comparison with a missing value is false.

use std::cmp::Ordering;

use fixedbitset::FixedBitSet;

use super::attributes::{Column, NO_KEYWORD, Value};
use super::filter_syntax::{Expr, Literal, Operator};
use super::schema::{AttributeKind, Schema};
use super::segment::Segment;
use crate::error::{Error, Result};
use crate::storage::keys::{Key, KeyColumn};

/// Checks that every attribute exists and is compared with values of its kind.
pub fn check(expr: &Expr, schema: &Schema) -> Result<()> {
    match expr {
        Expr::And(left, right) | Expr::Or(left, right) => {
            check(left, schema)?;
            check(right, schema)
        }
        Expr::Not(inner) => check(inner, schema),
        Expr::IsNull { attribute } => kind_of(attribute, schema).map(drop),
        Expr::Compare {
            attribute, value, ..
        } => check_literal(attribute, value, schema),
        Expr::In { attribute, values } => values
            .iter()
            .try_for_each(|value| check_literal(attribute, value, schema)),
    }
}

fn kind_of(attribute: &str, schema: &Schema) -> Result<AttributeKind> {
    schema.attributes.get(attribute).copied().ok_or_else(|| {
        let known: Vec<_> = schema.attributes.keys().map(String::as_str).collect();
        let known = known.join(", ");
        Error::InvalidInput(format!(
            "where: no attribute {attribute:?}; the index has: [{known}]"
        ))
    })
}

fn check_literal(attribute: &str, literal: &Literal, schema: &Schema) -> Result<()> {
    let kind = kind_of(attribute, schema)?;
    let fits = match literal {
        Literal::Str(_) => kind == AttributeKind::Keyword,
        Literal::Int(_) | Literal::Float(_) => kind != AttributeKind::Keyword,
    };
    if fits {
        return Ok(());
    }
    let kind = kind.name();
    Err(Error::InvalidInput(format!(
        "where: {attribute} holds {kind} values and cannot be compared with {literal}"
    )))
}

/// The documents of a segment, deleted ones included, for which a checked expression is true.
pub fn evaluate(expr: &Expr, segment: &Segment) -> FixedBitSet {
    match expr {
        Expr::And(left, right) => {
            let mut both = evaluate(left, segment);
            both.intersect_with(&evaluate(right, segment));
            both
        }
        Expr::Or(left, right) => {
            let mut either = evaluate(left, segment);
            either.union_with(&evaluate(right, segment));
            either
        }
        Expr::Not(inner) => {
            let mut rest = evaluate(inner, segment);
            rest.toggle_range(..);
            rest
        }
        Expr::IsNull { attribute } => select(segment, attribute, |column, document| {
            column.get(document).is_none()
        }),
        Expr::Compare {
            attribute,
            operator,
            value,
        } => compare(segment, attribute, *operator, value),
        Expr::In { attribute, values } => {
            let mut any = FixedBitSet::with_capacity(segment.entry.documents as usize);
            for value in values {
                any.union_with(&compare(segment, attribute, Operator::Equal, value));
            }
            any
        }
    }
}

fn select(
    segment: &Segment,
    attribute: &str,
    wanted: impl Fn(&Column, usize) -> bool,
) -> FixedBitSet {
    let documents = segment.entry.documents as usize;
    let mut selected = FixedBitSet::with_capacity(documents);
    if let Some(column) = segment.attributes.column(attribute) {
        let ones = (0..documents).filter(|&document| wanted(column, document));
        ones.for_each(|document| selected.insert(document));
    }
    selected
}

fn compare(
    segment: &Segment,
    attribute: &str,
    operator: Operator,
    literal: &Literal,
) -> FixedBitSet {
    if let (Literal::Str(word), Some(Column::Keyword { codes, words })) =
        (literal, segment.attributes.column(attribute))
    {
        let wanted = codes_that(operator, word, words);
        return select(segment, attribute, |_, document| {
            codes
                .get(document)
                .is_some_and(|code| *code != NO_KEYWORD && wanted(*code))
        });
    }
    select(segment, attribute, |column, document| {
        let order = match (column.get(document), literal) {
            (Some(Value::Int64(value)), Literal::Int(literal)) => Some(value.cmp(literal)),
            (Some(Value::Int64(value)), Literal::Float(literal)) => order_mixed(value, *literal),
            (Some(Value::Float64(value)), Literal::Int(literal)) => {
                order_mixed(*literal, value).map(Ordering::reverse)
            }
            (Some(Value::Float64(value)), Literal::Float(literal)) => value.partial_cmp(literal),
            _ => None,
        };
        order.is_some_and(|order| holds(operator, order))
    })
}

/// Codes follow the order of the words, so comparing codes compares words.
fn codes_that(operator: Operator, word: &str, words: &KeyColumn) -> impl Fn(u32) -> bool {
    let position = words.lower_bound(Key::Str(word)) as u32;
    let known = words.find(Key::Str(word)).is_some();
    move |code| {
        let order = match code.cmp(&position) {
            Ordering::Equal if !known => Ordering::Greater,
            order => order,
        };
        holds(operator, order)
    }
}

/// Compares an integer with a float without rounding the integer.
fn order_mixed(int: i64, float: f64) -> Option<Ordering> {
    let truncated = float.trunc() as i128;
    let order = i128::from(int).cmp(&truncated);
    match order {
        _ if float.is_nan() => None,
        Ordering::Equal => 0.0.partial_cmp(&float.fract()),
        order => Some(order),
    }
}

fn holds(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
    }
}
