//! As much of JSON Schema and XML as it takes to check what `distill report` writes.

use serde_json::Value;

/// Asserts that a document is as a schema says. Fails for a keyword of the schema that is not known here.
#[track_caller]
pub fn assert_schema(document: &Value, schema: &Value) {
    if let Err(problem) = check(document, schema, schema, "$") {
        panic!("{problem}");
    }
}

fn check(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let Some(rules) = schema.as_object() else {
        return if schema == true { Ok(()) } else { Err(format!("{at}: nothing is allowed")) };
    };
    for (rule, wanted) in rules {
        match rule.as_str() {
            "$schema" | "title" | "description" | "format" | "$defs" | "default" => {}
            "$ref" => {
                let path = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                check(value, root.pointer(path).unwrap(), root, at)?;
            }
            "type" => {
                let is = |name: &Value| is_type(value, name.as_str().unwrap());
                if !wanted.as_array().map_or_else(|| is(wanted), |names| names.iter().any(is)) {
                    return Err(format!("{at}: {value} is not of type {wanted}"));
                }
            }
            "const" if value != wanted => return Err(format!("{at}: {value} is not {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                return Err(format!("{at}: {value} is none of {wanted}"));
            }
            "const" | "enum" => {}
            "minimum" if value.as_f64() < wanted.as_f64() => return Err(format!("{at}: {value} < {wanted}")),
            "maximum" if value.as_f64() > wanted.as_f64() => return Err(format!("{at}: {value} > {wanted}")),
            "minItems" if value.as_array().map(|items| items.len() as u64) < wanted.as_u64() => {
                return Err(format!("{at}: fewer than {wanted} items"));
            }
            "maxItems" if value.as_array().map(|items| items.len() as u64) > wanted.as_u64() => {
                return Err(format!("{at}: more than {wanted} items"));
            }
            "minimum" | "maximum" | "minItems" | "maxItems" => {}
            "required" => {
                let has = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = wanted.as_array().unwrap().iter().find(has) {
                    return Err(format!("{at}: {name} is missing"));
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = wanted.get(name) {
                        check(value, schema, root, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if rules.get("properties").and_then(|known| known.get(name)).is_none() {
                        check(value, wanted, root, &format!("{at}.{name}"))?;
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, wanted, root, &format!("{at}[{index}]"))?;
                }
            }
            "anyOf" | "oneOf" => {
                let schemas = wanted.as_array().unwrap();
                if !schemas.iter().any(|schema| check(value, schema, root, at).is_ok()) {
                    return Err(format!("{at}: {value} is none of the alternatives"));
                }
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    check(&Value::from(name.as_str()), wanted, root, &format!("{at}: the name {name}"))?;
                }
            }
            other => return Err(format!("{at}: the schema has {other:?}, which this test does not know")),
        }
    }
    Ok(())
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

/// An element of an XML document.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// The value of an attribute.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{name} is not in {self:?}"))
    }
}

/// Parses a document without CDATA and DTD, whose only comment may be its first line; panics where it is not well-formed.
#[track_caller]
pub fn xml(text: &str) -> Element {
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("an XML declaration");
    let body = body.trim_start();
    let body =
        if body.starts_with("<!--") { body.split_once("-->").expect("the comment's end").1 } else { body };
    let (element, rest) = element(body.trim_start());
    assert_eq!(rest.trim(), "", "there is one root element");
    element
}

fn element(text: &str) -> (Element, &str) {
    let inside = text.strip_prefix('<').unwrap_or_else(|| panic!("expected an element: {text:.60}"));
    let end = inside.find('>').unwrap_or_else(|| panic!("a tag is not closed: {text:.60}"));
    let (tag, mut rest) = (&inside[..end], &inside[end + 1..]);
    let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name:?}");
    let mut found = Element {
        name: name.to_owned(),
        attributes: self::attributes(attributes),
        children: Vec::new(),
        text: String::new(),
    };
    if is_empty {
        return (found, rest);
    }
    loop {
        let next = rest.find('<').unwrap_or_else(|| panic!("{name} is not closed"));
        found.text.push_str(&plain(&rest[..next]));
        rest = &rest[next..];
        if let Some(after) = rest.strip_prefix("</") {
            let rest = after.strip_prefix(name).and_then(|rest| rest.strip_prefix('>'));
            return (found, rest.unwrap_or_else(|| panic!("expected </{name}>: {after:.40}")));
        }
        let (child, after) = element(rest);
        found.children.push(child);
        rest = after;
    }
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    text = text.trim();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("no attribute: {text:.40}"));
        let (value, rest) = rest.split_once('"').unwrap_or_else(|| panic!("no end: {rest:.40}"));
        assert!(found.iter().all(|(known, _)| known != name), "{name} stands twice");
        found.push((name.to_owned(), plain(value)));
        text = rest.trim_start();
    }
    found
}

/// Text without markup; every `&` must begin a known entity, and no control character may occur.
fn plain(text: &str) -> String {
    assert!(!text.contains('<'), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{text:?}");
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare & before {part:.30}"));
        out.push_str(match entity {
            "lt" => "<",
            "gt" => ">",
            "amp" => "&",
            "quot" => "\"",
            "#35" => "#",
            "#39" => "'",
            other => panic!("unknown entity {other}"),
        });
        out.push_str(rest);
    }
    out
}
