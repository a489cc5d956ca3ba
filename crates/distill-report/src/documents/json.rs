//! The layout of `report.json`: a field a line, and a list within a list on one line. A point of a curve or a pair of
//! label and prediction then takes one line instead of five, which is most of a large report.

use std::io::{Result, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The text of a value.
///
/// # Errors
/// Those of its serialization.
pub fn text(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Layout::default()))?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

#[derive(Default)]
struct Layout {
    pretty: PrettyFormatter<'static>,
    /// Of every open list or object, whether it is a list.
    open: Vec<bool>,
    /// How many of them stand on one line.
    on_one_line: usize,
}

impl Layout {
    fn begin<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        is_list: bool,
        bracket: &[u8],
        pretty: impl FnOnce(&mut PrettyFormatter<'static>, &mut W) -> Result<()>,
    ) -> Result<()> {
        let is_inner = self.on_one_line > 0 || (is_list && self.open.last() == Some(&true));
        self.open.push(is_list);
        if !is_inner {
            return pretty(&mut self.pretty, writer);
        }
        self.on_one_line += 1;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        bracket: &[u8],
        pretty: impl FnOnce(&mut PrettyFormatter<'static>, &mut W) -> Result<()>,
    ) -> Result<()> {
        self.open.pop();
        if self.on_one_line == 0 {
            return pretty(&mut self.pretty, writer);
        }
        self.on_one_line -= 1;
        writer.write_all(bracket)
    }

    fn separate<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
        pretty: impl FnOnce(&mut PrettyFormatter<'static>, &mut W) -> Result<()>,
    ) -> Result<()> {
        match (self.on_one_line, first) {
            (0, _) => pretty(&mut self.pretty, writer),
            (_, true) => Ok(()),
            (_, false) => writer.write_all(b", "),
        }
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, true, b"[", |pretty, writer| pretty.begin_array(writer))
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"]", |pretty, writer| pretty.end_array(writer))
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.separate(writer, first, |pretty, writer| pretty.begin_array_value(writer, first))
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        if self.on_one_line == 0 { self.pretty.end_array_value(writer) } else { Ok(()) }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, false, b"{", |pretty, writer| pretty.begin_object(writer))
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"}", |pretty, writer| pretty.end_object(writer))
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.separate(writer, first, |pretty, writer| pretty.begin_object_key(writer, first))
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        if self.on_one_line == 0 { self.pretty.end_object_value(writer) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_within_a_list_takes_one_line_and_everything_reads_back() {
        let value =
            json!({"a": [[1, 2], [], [3]], "b": [{"c": [1, 2], "d": []}], "e": {}, "f": [[{"g": [1]}, "x"]]});
        let found = text(&value).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap(), value);
        let expected = "{\n  \"a\": [\n    [1, 2],\n    [],\n    [3]\n  ],\n  \"b\": [\n    {\n      \"c\": [\n        1,\n        2\n      ]";
        assert!(found.starts_with(expected), "{found}");
        assert!(found.contains("[{\"g\": [1]}, \"x\"]"), "{found}");
    }
}
