//! The JSON schemas of what this module writes down by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Base64, Hex, Millis, OptionalBase64, PathForm, PathText};
use crate::checksum::{Algorithm, Digest};
use crate::id::SessionId;
use crate::limits::SESSION_ID_BYTES_MAX;
use crate::resume_data::ResumeData;
use crate::safe_url::{HttpUrl, URL_BYTES_MAX};
use crate::task::Priority;

/// Gives a type the schema of one JSON value; those that are `inline` get no name of their own.
macro_rules! schemas {
    ($($type:ident, inline: $inline:literal, $schema:tt;)*) => {
        $(
            impl JsonSchema for $type {
                fn inline_schema() -> bool {
                    $inline
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($type).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )*
    };
}

schemas! {
    Millis, inline: true, {"type": "integer", "minimum": 0, "description": "Milliseconds."};
    Base64, inline: true, {"type": "string", "contentEncoding": "base64"};
    OptionalBase64, inline: true, {"type": ["string", "null"], "contentEncoding": "base64"};
    Hex, inline: true, {"type": "string", "pattern": "^[0-9a-fA-F]{1,32}$"};
    SessionId, inline: false, {
        "description": "The name of a session, without control characters.",
        "type": "string", "minLength": 1, "maxLength": SESSION_ID_BYTES_MAX
    };
    HttpUrl, inline: false, {
        "description": "An http or https URL without a user name and a password.",
        "type": "string", "format": "uri", "maxLength": URL_BYTES_MAX
    };
    Digest, inline: false, {
        "description": "A digest with its algorithm, as sha-256=HEX.",
        "type": "string", "pattern": "^[A-Za-z0-9-]+[=:][0-9a-fA-F]+$"
    };
    Algorithm, inline: false, {
        "description": "An algorithm of digests.",
        "type": "string", "enum": ["sha-256", "sha-512", "sha-1", "md5", "blake3"]
    };
    Priority, inline: false, {
        "description": "Which of the waiting tasks goes first, in thousandths.",
        "type": "integer", "minimum": 0, "maximum": 1000
    };
    ResumeData, inline: false, {
        "description": "What a task left to go on with, to be given back as it is.",
        "type": "string", "contentEncoding": "base64"
    };
}

impl JsonSchema for PathText {
    fn schema_name() -> Cow<'static, str> {
        PathForm::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        PathForm::json_schema(generator)
    }
}

/// A document of a request that leaves its kind out is one of a download.
pub(crate) fn usually_a_download(schema: &mut Schema) {
    for form in forms(schema) {
        if form["properties"]["kind"]["const"] == "download"
            && let Some(required) = form["required"].as_array_mut()
        {
            required.retain(|name| name != "kind");
        }
    }
}

/// A destination may be the path of a file alone.
pub(crate) fn usually_a_file(schema: &mut Schema) {
    forms(schema).push(json!({"description": "Exactly this path.", "type": "string"}));
}

/// What every problem has (RFC 9457 section 3.1), beside the members of its own.
pub(crate) fn with_members_of_all(schema: &mut Schema) {
    for form in forms(schema) {
        let properties = &mut form["properties"];
        properties["status"] = json!({
            "description": "The status of the answer, or that it would have as one of its own.",
            "type": "integer"
        });
        properties["title"] = json!({
            "description": "The name of that status (RFC 9110 section 15).", "type": "string"
        });
        properties["detail"] = json!({
            "description": "What it is and what to do, for people.", "type": "string"
        });
    }
}

/// The forms of an enumeration.
fn forms(schema: &mut Schema) -> &mut Vec<Value> {
    let forms = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    forms.expect("an enumeration with data is described by its variants")
}
