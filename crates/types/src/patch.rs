//! A field of an update: absent, null or a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an update says of one field. Use with `#[serde(default)]`, so that an absent field is [`Patch::Keep`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is absent: leave it.
    #[default]
    Keep,
    /// The field is `null`: unset it.
    Clear,
    /// The field has a value: take it.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value of a field that cannot be unset: `null` counts as absent, as several clients send it.
    pub fn or(self, current: T) -> T {
        match self {
            Patch::Keep | Patch::Clear => current,
            Patch::Set(value) => value,
        }
    }

    /// The new value of a field that can be unset.
    pub fn or_clear(self, current: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => current,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    /// The value, when one was sent.
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Set(value) => Some(value),
            Patch::Keep | Patch::Clear => None,
        }
    }

    /// Whether the field was sent with a value or with null.
    pub fn is_sent(&self) -> bool {
        !matches!(self, Patch::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(from)? {
            Some(value) => Patch::Set(value),
            None => Patch::Clear,
        })
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(to)
    }
}

// In the document a patch is an optional value. utoipa offers generic types no public way to say so; its version is pinned.
impl<T: utoipa::__dev::ComposeSchema> utoipa::__dev::ComposeSchema for Patch<T> {
    fn compose(
        parts: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
    ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Option::<T>::compose(parts)
    }
}

impl<T: utoipa::ToSchema> utoipa::ToSchema for Patch<T>
where
    Patch<T>: utoipa::PartialSchema,
{
    fn schemas(parts: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        T::schemas(parts);
    }
}
