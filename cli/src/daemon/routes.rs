//! Which call a request is: its method and the parts of its path, as they stand there.
//!
//! Parts stay percent-encoded, so that an identifier with a slash in it is one part.

use longhaul::control::api::{CLIENTS_PATH, EVENTS_PATH, METRICS_PATH};
use longhaul::control::{Control, Method, Route};

/// All that can be asked.
#[derive(Debug)]
pub(super) struct Routes(Vec<Entry>);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A call with one answer.
    Call(&'static Route),
    /// To become a client; the answer is its stream.
    Client,
    /// The events of a session.
    Events,
    /// Counts and gauges.
    Metrics,
}

/// Where a method and a path lead.
#[derive(Debug)]
pub(super) enum Found<'p> {
    /// To this.
    Target(Target, Parts<'p>),
    /// There is something at this path, with these methods.
    OtherMethods(Vec<Method>),
    /// Nowhere.
    Nothing,
}

/// The parts of a path by their names, percent-encoded.
#[derive(Debug)]
pub(super) struct Parts<'p>(Vec<(&'static str, &'p str)>);

#[derive(Debug)]
struct Entry {
    method: Method,
    pattern: Vec<Segment>,
    target: Target,
}

#[derive(Debug)]
enum Segment {
    Word(&'static str),
    Part(&'static str),
}

impl Target {
    /// A name for metrics and logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Call(route) => route.name,
            Self::Client => "BecomeClient",
            Self::Events => "Events",
            Self::Metrics => "Metrics",
        }
    }
}

impl Routes {
    /// The calls that the engine answers, and the streams.
    pub(super) fn all() -> Self {
        let calls = Control::routes().iter();
        let calls = calls.map(|route| Entry::new(route.method, route.path, Target::Call(route)));
        let others = [
            Entry::new(Method::Post, CLIENTS_PATH, Target::Client),
            Entry::new(Method::Get, EVENTS_PATH, Target::Events),
            Entry::new(Method::Get, METRICS_PATH, Target::Metrics),
        ];
        Self(calls.chain(others).collect())
    }

    /// Where a request leads. Methods that no call has lead nowhere.
    pub(super) fn find<'p>(&self, method: Option<Method>, path: &'p str) -> Found<'p> {
        let mut others = Vec::new();
        for entry in &self.0 {
            let Some(parts) = entry.parts(path) else {
                continue;
            };
            if Some(entry.method) == method {
                return Found::Target(entry.target, parts);
            }
            others.push(entry.method);
        }
        if others.is_empty() {
            Found::Nothing
        } else {
            Found::OtherMethods(others)
        }
    }
}

impl<'p> Parts<'p> {
    /// The part of this name.
    pub(super) fn get(&self, name: &str) -> Option<&'p str> {
        let found = self.0.iter().find(|(its, _)| *its == name);
        found.map(|(_, part)| *part)
    }
}

impl Entry {
    fn new(method: Method, path: &'static str, target: Target) -> Self {
        let segments = path.split('/').map(|word| {
            let name = word.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            name.map_or(Segment::Word(word), Segment::Part)
        });
        Self {
            method,
            pattern: segments.collect(),
            target,
        }
    }

    /// The parts of a path of this form.
    fn parts<'p>(&self, path: &'p str) -> Option<Parts<'p>> {
        let mut parts = Vec::new();
        let mut words = path.split('/');
        for segment in &self.pattern {
            let word = words.next()?;
            match segment {
                Segment::Word(expected) if *expected == word => {}
                Segment::Word(_) => return None,
                Segment::Part(name) => parts.push((*name, word)),
            }
        }
        words.next().is_none().then_some(Parts(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_at_its_own_path() {
        let routes = Routes::all();
        for entry in &routes.0 {
            let words = entry.pattern.iter().map(|segment| match segment {
                Segment::Word(word) => (*word).to_owned(),
                Segment::Part(name) => format!("%2F{name}%25"),
            });
            let path = words.collect::<Vec<_>>().join("/");
            let Found::Target(target, parts) = routes.find(Some(entry.method), &path) else {
                panic!("{path} leads nowhere");
            };
            assert_eq!(target.name(), entry.target.name(), "{path}");
            for (name, part) in &parts.0 {
                assert_eq!(*part, format!("%2F{name}%25"));
            }
        }
    }

    #[test]
    fn paths_lead_to_one_thing_to_other_methods_or_nowhere() {
        let routes = Routes::all();
        let table = [
            (Some(Method::Get), "/v1", "GetEngine"),
            (Some(Method::Get), "/v1/sessions/a%2Fb", "GetSession"),
            (Some(Method::Get), "/v1/sessions/a/tasks/1", "GetTask"),
            (Some(Method::Get), "/v1/sessions/a/events", "Events"),
            (Some(Method::Post), "/v1/clients", "BecomeClient"),
            (Some(Method::Get), "/metrics", "Metrics"),
            (Some(Method::Get), "/v1/clients", "[Post]"),
            (Some(Method::Delete), "/v1/conditions", "[Get, Put]"),
            (None, "/v1", "[Get]"),
            (Some(Method::Get), "/v1/", ""),
            (Some(Method::Get), "/", ""),
            (Some(Method::Get), "", ""),
            (Some(Method::Get), "*", ""),
            (Some(Method::Get), "/v2", ""),
            (Some(Method::Get), "/v1/sessions/a/b", ""),
            (None, "/nowhere", ""),
        ];
        for (method, path, expected) in table {
            let found = match routes.find(method, path) {
                Found::Target(target, _) => target.name().to_owned(),
                Found::OtherMethods(methods) => format!("{methods:?}"),
                Found::Nothing => String::new(),
            };
            assert_eq!(found, expected, "{method:?} {path}");
        }
    }
}
