//! Enough of JSON Schema 2020-12 to hold the files of `schemas/` against what the code writes.
//!
//! A keyword it does not know is an error, so nothing in a schema is silently not checked. In one point
//! it is stricter than the standard: a member that the schema does not describe is a fault, because the
//! schemas are also the description that integrators read.

use serde::Serialize;
use serde_json::{Map, Value};

/// One schema file.
pub(crate) struct Schema(Value);

/// Keywords that say nothing about validity.
const ANNOTATIONS: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

impl Schema {
    pub(crate) fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// What is wrong with `value`, each with its place.
    pub(crate) fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "", &mut faults);
        faults
    }

    /// Panics when `body` does not fit.
    pub(crate) fn must_fit<T: Serialize>(&self, body: &T) {
        let value = serde_json::to_value(body).unwrap();
        let faults = self.faults(&value);
        assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
    }

    /// Panics when `body` fits.
    pub(crate) fn must_not_fit<T: Serialize>(&self, body: &T) {
        let value = serde_json::to_value(body).unwrap();
        assert!(!self.faults(&value).is_empty(), "it should not fit: {value:#}");
    }

    fn resolve(&self, reference: &str) -> &Value {
        let pointer = reference
            .strip_prefix('#')
            .expect("only references within the file");
        self.0
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} points nowhere"))
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let schema = schema.as_object().expect("a schema is an object");
        let mut fault = |text: String| faults.push(format!("{at}: {text}"));
        for (keyword, rule) in schema {
            match keyword.as_str() {
                word if ANNOTATIONS.contains(&word) => {}
                "type" => {
                    let names: Vec<&str> = match rule {
                        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                        name => name.as_str().into_iter().collect(),
                    };
                    if !names.iter().any(|name| is_of(name, value)) {
                        fault(format!("expected {names:?}, found {value}"));
                    }
                }
                "const" if rule != value => fault(format!("expected {rule}, found {value}")),
                "enum" if !rule.as_array().expect("a list").contains(value) => {
                    fault(format!("{value} is not in the list"));
                }
                "const" | "enum" => {}
                "required" => {
                    for name in rule.as_array().expect("a list").iter().filter_map(Value::as_str) {
                        if value.get(name).is_none() {
                            fault(format!("{name} is missing"));
                        }
                    }
                }
                "minimum" => {
                    if value
                        .as_i64()
                        .is_some_and(|n| n < rule.as_i64().expect("a number"))
                    {
                        fault(format!("{value} is less than {rule}"));
                    }
                }
                "minLength" | "maxLength" | "minItems" | "maxItems" => {
                    let length = match value {
                        Value::String(text) => text.chars().count() as u64,
                        Value::Array(items) => items.len() as u64,
                        _ => continue,
                    };
                    let limit = rule.as_u64().expect("a number");
                    let min = keyword.starts_with("min");
                    if (min && length < limit) || (!min && length > limit) {
                        fault(format!("{keyword} is {limit}, found {length}"));
                    }
                }
                "format" | "pattern" => {
                    if let (Some(rule), Some(text)) = (rule.as_str(), value.as_str())
                        && !fits(rule, text)
                    {
                        fault(format!("{text} does not have the form {rule}"));
                    }
                }
                "additionalProperties" => {
                    assert_eq!(rule, &Value::Bool(false), "unknown members are refused anyway");
                }
                "$ref" | "oneOf" | "anyOf" | "properties" | "items" => {}
                other => panic!("this checker does not know the keyword {other}"),
            }
        }
        self.check_parts(schema, value, at, faults);
    }

    fn check_parts(&self, schema: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<String>) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            self.check(self.resolve(reference), value, at, faults);
        }
        for (keyword, exactly_one) in [("oneOf", true), ("anyOf", false)] {
            let Some(options) = schema.get(keyword).and_then(Value::as_array) else {
                continue;
            };
            let tried: Vec<Vec<String>> = options
                .iter()
                .map(|option| {
                    let mut inner = Vec::new();
                    self.check(option, value, at, &mut inner);
                    inner
                })
                .collect();
            let fitting = tried.iter().filter(|faults| faults.is_empty()).count();
            if fitting == 0 || (exactly_one && fitting > 1) {
                faults.push(format!("{at}: fits {fitting} of {keyword}: {tried:#?}"));
            }
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.check(items, value, &format!("{at}/{index}"), faults);
            }
        }
        if let (Some(properties), Some(members)) = (
            schema.get("properties").and_then(Value::as_object),
            value.as_object(),
        ) {
            // A branch of `anyOf` may speak of some members only; a whole object names them all.
            let whole = schema.contains_key("type");
            for (name, value) in members {
                match properties.get(name) {
                    Some(property) => self.check(property, value, &format!("{at}/{name}"), faults),
                    None if whole => faults.push(format!("{at}/{name}: the schema does not describe it")),
                    None => {}
                }
            }
        }
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("this checker does not know the type {other}"),
    }
}

/// The formats and patterns that the schemas use, each by the code that gives it its meaning.
fn fits(rule: &str, text: &str) -> bool {
    match rule {
        "uuid" => uuid::Uuid::try_parse(text).is_ok() && text.len() == 36,
        "date-time" => text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z'),
        "^[0-9a-f]{64}$" => text.parse::<truc_model::Sha256>().is_ok() && text == text.to_lowercase(),
        "^(A[0-9]{5,}|@.+|\\?.*)$" => text.parse::<truc_model::Party>().is_ok(),
        other => panic!("this checker does not know the form {other}"),
    }
}
