//! The language of `where=`: from text to [`Expr`], and nothing else.
//!
//! ```text
//! any        = all { "or" all }
//! all        = negation { "and" negation }
//! negation   = "not" negation | "(" any ")" | predicate
//! predicate  = attribute ( operator value | [ "not" ] "in" "(" value { "," value } ")"
//!                        | "is" [ "not" ] "null" )
//! operator   = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
//! value      = 'text' | "text" | integer of 64 bits | finite float
//! attribute  = letters, digits and "_", not first a digit | `anything`
//! ```
//!
//! Keywords are ASCII and case does not matter; a quote inside quotes is doubled. Promises: never
//! panics, and no text, however hostile, makes an expression too deep for recursion: a text holds at
//! most [`MAX_BYTES`], nests at most [`MAX_DEPTH`] times, and chains of `and` and `or` become balanced
//! trees, which together keeps every expression below 2,000 levels. May import `error` alone.

use crate::error::{Error, Result};
use std::fmt;

/// Longest text, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// Most levels of parentheses and `not` within one another.
pub const MAX_DEPTH: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Compare {
        attribute: String,
        operator: Operator,
        value: Literal,
    },
    /// At least one value.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Floats are finite.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Str(String),
    Int(i64),
    Float(f64),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Str(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Int(value) => write!(f, "{value}"),
            Literal::Float(value) => write!(f, "{value:?}"),
        }
    }
}

/// # Errors
/// `InvalidInput` with the column, counted in characters from 1, and what was expected there.
pub fn parse(text: &str) -> Result<Expr> {
    if text.len() > MAX_BYTES {
        return Err(Error::InvalidInput(format!(
            "where: the text has {} bytes and may have {MAX_BYTES}; pass long lists of ids as subset",
            text.len()
        )));
    }
    let mut parser = Parser {
        text,
        start: 0,
        end: 0,
        token: Token::End,
        depth: 0,
    };
    parser.advance()?;
    let expr = parser.any()?;
    match parser.token {
        Token::End => Ok(expr),
        _ => Err(parser.expected("'and', 'or' or the end")),
    }
}

const KEYWORDS: [&str; 6] = ["and", "or", "not", "in", "is", "null"];

#[derive(Clone, Debug, PartialEq)]
enum Token<'t> {
    /// A keyword or the bare name of an attribute.
    Word(&'t str),
    /// A name in backquotes.
    Name(String),
    Value(Literal),
    Operator(Operator),
    Open,
    Close,
    Comma,
    /// What no expression holds; the parser says what it expected instead.
    Unknown,
    End,
}

static SYMBOLS: [(&str, Token<'static>); 11] = [
    ("==", Token::Operator(Operator::Equal)),
    ("!=", Token::Operator(Operator::NotEqual)),
    ("<>", Token::Operator(Operator::NotEqual)),
    ("<=", Token::Operator(Operator::LessOrEqual)),
    (">=", Token::Operator(Operator::GreaterOrEqual)),
    ("=", Token::Operator(Operator::Equal)),
    ("<", Token::Operator(Operator::Less)),
    (">", Token::Operator(Operator::Greater)),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

struct Parser<'t> {
    text: &'t str,
    /// The current token and its bytes, `start..end` of `text`.
    token: Token<'t>,
    start: usize,
    end: usize,
    depth: usize,
}

/// Tokens.
impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<()> {
        let rest = self.text[self.end..].trim_start();
        self.start = self.text.len() - rest.len();
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some(quote @ ('\'' | '"')) => {
                let (value, length) = self.quoted(rest, quote)?;
                (Token::Value(Literal::Str(value)), length)
            }
            Some('`') => {
                let (name, length) = self.quoted(rest, '`')?;
                (Token::Name(name), length)
            }
            Some('0'..='9' | '.' | '-') => {
                let length = number_length(rest);
                self.end = self.start + length;
                (Token::Value(self.number(&rest[..length])?), length)
            }
            Some('A'..='Z' | 'a'..='z' | '_') => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
            Some(other) => match SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
                Some((symbol, token)) => (token.clone(), symbol.len()),
                None => (Token::Unknown, other.len_utf8()),
            },
        };
        self.token = token;
        self.end = self.start + length;
        Ok(())
    }

    /// The text between quotes at the start of `rest`, and its length with them.
    fn quoted(&self, rest: &str, quote: char) -> Result<(String, usize)> {
        let mut value = String::new();
        let mut body = &rest[1..];
        while let Some((part, after)) = body.split_once(quote) {
            value.push_str(part);
            match after.strip_prefix(quote) {
                None => return Ok((value, rest.len() - after.len())),
                Some(after) => {
                    value.push(quote);
                    body = after;
                }
            }
        }
        Err(Error::InvalidInput(format!(
            "where: expected a closing {quote} for the text that opens at column {}",
            self.column()
        )))
    }

    fn number(&self, digits: &str) -> Result<Literal> {
        let literal = if digits.contains(['.', 'e', 'E']) {
            let float: Option<f64> = digits.parse().ok();
            float.filter(|float| float.is_finite()).map(Literal::Float)
        } else {
            digits.parse().ok().map(Literal::Int)
        };
        literal.ok_or_else(|| self.expected("an integer of 64 bits or a finite number"))
    }

    fn column(&self) -> usize {
        self.text[..self.start].chars().count() + 1
    }

    fn expected(&self, what: &str) -> Error {
        const SHOWN: usize = 32;
        let token = &self.text[self.start..self.end];
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = token.chars().take(SHOWN).map(printable).collect();
        let found = match token.chars().nth(SHOWN) {
            _ if token.is_empty() => "the end".to_owned(),
            None => format!("'{shown}'"),
            Some(_) => format!("'{shown}...'"),
        };
        let column = self.column();
        Error::InvalidInput(format!(
            "where: expected {what} at column {column}, found {found}"
        ))
    }
}

/// Grammar. Each function starts at the first token of what it reads and ends after the last.
impl Parser<'_> {
    fn any(&mut self) -> Result<Expr> {
        self.chain("or", Self::all, Expr::Or)
    }

    fn all(&mut self) -> Result<Expr> {
        self.chain("and", Self::negation, Expr::And)
    }

    fn chain(
        &mut self,
        keyword: &str,
        operand: fn(&mut Self) -> Result<Expr>,
        join: fn(Box<Expr>, Box<Expr>) -> Expr,
    ) -> Result<Expr> {
        let mut operands = vec![operand(self)?];
        while self.accept(keyword)? {
            operands.push(operand(self)?);
        }
        Ok(balanced(operands, join))
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.accept("not")? {
            return Ok(Expr::Not(Box::new(self.nested(Self::negation)?)));
        }
        if self.token != Token::Open {
            return self.predicate();
        }
        self.advance()?;
        let inner = self.nested(Self::any)?;
        self.expect(Token::Close, "'and', 'or' or ')'")?;
        Ok(inner)
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        if self.depth == MAX_DEPTH {
            let limit = format!("at most {MAX_DEPTH} levels of parentheses and 'not'");
            return Err(self.expected(&limit));
        }
        self.depth += 1;
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    fn predicate(&mut self) -> Result<Expr> {
        let attribute = self.attribute()?;
        if let Token::Operator(operator) = self.token {
            self.advance()?;
            let value = self.value()?;
            return Ok(Expr::Compare {
                attribute,
                operator,
                value,
            });
        }
        if self.accept("is")? {
            let negated = self.accept("not")?;
            if !self.accept("null")? {
                return Err(self.expected("'null'"));
            }
            return Ok(negated_if(negated, Expr::IsNull { attribute }));
        }
        let negated = self.accept("not")?;
        if !self.accept("in")? {
            let wanted = if negated {
                "'in'"
            } else {
                "a comparison, 'in' or 'is'"
            };
            return Err(self.expected(wanted));
        }
        let values = self.values()?;
        Ok(negated_if(negated, Expr::In { attribute, values }))
    }

    fn attribute(&mut self) -> Result<String> {
        let name = match &self.token {
            Token::Word(word) if !is_keyword(word) => (*word).to_owned(),
            Token::Name(name) => name.clone(),
            _ => return Err(self.expected("an attribute, 'not' or '('")),
        };
        self.advance()?;
        Ok(name)
    }

    fn values(&mut self) -> Result<Vec<Literal>> {
        self.expect(Token::Open, "'('")?;
        let mut values = vec![self.value()?];
        while self.token == Token::Comma {
            self.advance()?;
            values.push(self.value()?);
        }
        self.expect(Token::Close, "',' or ')'")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Literal> {
        let Token::Value(value) = &self.token else {
            return Err(self.expected("a number or a text in quotes"));
        };
        let value = value.clone();
        self.advance()?;
        Ok(value)
    }

    /// Steps over `keyword` if it is here.
    fn accept(&mut self, keyword: &str) -> Result<bool> {
        let here = matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    fn expect(&mut self, token: Token<'_>, what: &str) -> Result<()> {
        if self.token != token {
            return Err(self.expected(what));
        }
        self.advance()
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Bytes up to where a number that starts `rest` must have ended; what they hold may not be one.
fn number_length(rest: &str) -> usize {
    let mut before = 'e';
    let ends = |c: char| {
        let sign = matches!(c, '-' | '+') && matches!(before, 'e' | 'E');
        before = c;
        !(sign || is_word(c) || c == '.')
    };
    rest.find(ends).unwrap_or(rest.len())
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated {
        Expr::Not(Box::new(expr))
    } else {
        expr
    }
}

/// Joins operands, in order, into a tree whose depth is the logarithm of their number.
fn balanced(operands: Vec<Expr>, join: fn(Box<Expr>, Box<Expr>) -> Expr) -> Expr {
    match <[Expr; 1]>::try_from(operands) {
        Ok([single]) => single,
        Err(mut left) => {
            let right = left.split_off(left.len() / 2);
            join(
                Box::new(balanced(left, join)),
                Box::new(balanced(right, join)),
            )
        }
    }
}

#[cfg(test)]
mod tests;
