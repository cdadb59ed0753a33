//! temporary
use crate::error::Result;
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Compare {
        attribute: String,
        operator: Operator,
        value: Literal,
    },
    In {
        attribute: String,
        values: Vec<Literal>,
    },
    IsNull {
        attribute: String,
    },
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
}
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Str(String),
    Int(i64),
    Float(f64),
}
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
pub fn parse(_text: &str) -> Result<Expr> {
    Ok(Expr::IsNull {
        attribute: String::new(),
    })
}
