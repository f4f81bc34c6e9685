//! The description of the control API for programs: OpenAPI 3.1, made of the calls themselves.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    API_VERSION, CLIENTS_PATH, Call, ClientEvent, ClientId, EVENTS_PATH, EventsQuery, Hello,
    METRICS_PATH, Method, Problem, SessionEvent, Visitor, visit,
};
use crate::id::{SessionId, TaskId};

/// Where the schemas of documents stand in the description.
const SCHEMAS: &str = "/components/schemas";

/// The description of every call, of the streams, and of `/metrics`, as OpenAPI 3.1.0.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut description = Description {
        schemas: settings.into_generator(),
        paths: Map::new(),
    };
    visit(&mut description);
    description.streams();
    let problem = description.schema::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "longhaul control API",
            "version": API_VERSION.to_string(),
            "description": "HTTP over the Unix socket of `longhaul daemon`, for the processes of its user."
        },
        "servers": [{"url": "http://localhost", "description": "Over the Unix socket."}],
        "paths": description.paths,
        "components": {
            "schemas": description.schemas.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "Why it was not done, and the next step.",
                    "content": {"application/problem+json": {"schema": problem}}
                }
            }
        }
    })
}

/// What is described so far.
struct Description {
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Visitor for Description {
    fn call<C: Call>(&mut self) {
        let mut operation = json!({"operationId": C::NAME, "summary": C::SUMMARY});
        let members = C::json_schema(&mut self.schemas);
        match C::METHOD {
            Method::Get => self.operate::<C>(&mut operation, query(&members)),
            Method::Delete => self.operate::<C>(&mut operation, Vec::new()),
            Method::Put | Method::Post | Method::Patch => {
                let is_required = !required(&members).is_empty();
                operation["requestBody"] = self.body::<C>(is_required);
                self.operate::<C>(&mut operation, Vec::new());
            }
        }
    }
}

impl Description {
    /// Adds a call.
    fn operate<C: Call>(&mut self, operation: &mut Value, query: Vec<Value>) {
        let answer = json!({"application/json": {"schema": self.schema::<C::Answer>()}});
        self.add(C::METHOD, C::PATH, operation.take(), query, &answer);
    }

    /// The paths that are no calls.
    fn streams(&mut self) {
        let mut client = json!({
            "operationId": "BecomeClient",
            "summary": "Makes its process a client for as long as the answer lasts."
        });
        client["requestBody"] = self.body::<Hello>(false);
        let told = self.stream::<ClientEvent>();
        self.add(Method::Post, CLIENTS_PATH, client, Vec::new(), &told);

        let events = json!({
            "operationId": "Events",
            "summary": "The events of a session, from the fact after the given one on."
        });
        let query = query(&EventsQuery::json_schema(&mut self.schemas));
        let told = self.stream::<SessionEvent>();
        self.add(Method::Get, EVENTS_PATH, events, query, &told);

        let metrics = json!({"operationId": "Metrics", "summary": "Counts and gauges."});
        let text = json!({"application/openmetrics-text": {"schema": {"type": "string"}}});
        self.add(Method::Get, METRICS_PATH, metrics, Vec::new(), &text);
    }

    fn add(
        &mut self,
        method: Method,
        path: &str,
        mut operation: Value,
        query: Vec<Value>,
        answer: &Value,
    ) {
        let mut parameters = self.parts(path);
        parameters.extend(query);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        operation["responses"] = json!({
            "200": {"description": "It was done.", "content": answer},
            "default": {"$ref": "#/components/responses/Problem"}
        });
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[method.as_str().to_lowercase()] = operation;
    }

    /// The parts of a path that stand in braces.
    fn parts(&mut self, path: &str) -> Vec<Value> {
        let names = path
            .split('/')
            .filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
        let parts = names.map(|name| {
            let schema = match name {
                "session" => self.schema::<SessionId>(),
                "task" => self.schema::<TaskId>(),
                "client" => self.schema::<ClientId>(),
                _ => self.schema::<u64>(),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        });
        parts.collect()
    }

    fn body<T: JsonSchema>(&mut self, is_required: bool) -> Value {
        json!({
            "required": is_required,
            "content": {"application/json": {"schema": self.schema::<T>()}}
        })
    }

    /// Server-sent events, which OpenAPI 3.1 has no form for: what each holds is named beside.
    fn stream<T: JsonSchema>(&mut self) -> Value {
        json!({
            "text/event-stream": {
                "schema": {"type": "string", "description": "The data of each event is JSON."},
                "x-data-schema": self.schema::<T>()
            }
        })
    }

    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }
}

/// The members of a document as parameters of a query.
fn query(members: &Schema) -> Vec<Value> {
    let required = required(members);
    let properties = members.get("properties").and_then(Value::as_object);
    let parameters = properties.into_iter().flatten().map(|(name, schema)| {
        json!({
            "name": name, "in": "query", "required": required.contains(&name.as_str()),
            "schema": schema
        })
    });
    parameters.collect()
}

/// The members that may not be left out.
fn required(members: &Schema) -> Vec<&str> {
    let required = members.get("required").and_then(Value::as_array);
    required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
