//! What a person may leave out of a request that is written by hand.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::PathText;
use crate::task::{Destination, DownloadSpec, Spec, UploadSpec};

/// A request whose kind may come after its other members, or not at all.
#[derive(Deserialize)]
#[serde(expecting = "a request")]
struct Given {
    #[serde(default)]
    kind: Kind,
    #[serde(flatten)]
    download: Tried<DownloadSpec>,
    #[serde(flatten)]
    upload: Tried<UploadSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Download,
    Upload,
}

/// The members of a request as one of a kind, or why they are none.
struct Tried<T>(Result<T, String>);

struct Members<T>(PhantomData<T>);

/// The form of a [`Destination`] that says what it is.
#[derive(Deserialize)]
#[serde(
    remote = "Destination",
    tag = "kind",
    content = "value",
    rename_all = "snake_case"
)]
enum Tagged {
    File(#[serde(with = "PathText")] PathBuf),
    Directory(#[serde(with = "PathText")] PathBuf),
}

struct Place;

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = Given::deserialize(from)?;
        let spec = match given.kind {
            Kind::Download => given.download.0.map(Self::Download),
            Kind::Upload => given.upload.0.map(Self::Upload),
        };
        spec.map_err(de::Error::custom)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Tried<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the members of a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let read = T::deserialize(MapAccessDeserializer::new(map));
        Ok(Tried(read.map_err(|error| error.to_string())))
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Place)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = Destination;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a file, or a kind (file or directory) with a value")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<Self::Value, E> {
        Ok(Destination::File(PathBuf::from(path)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Tagged::deserialize(MapAccessDeserializer::new(map))
    }
}
