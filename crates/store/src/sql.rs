//! Texts of statements: put together at compile time, and listed, so that a test can prepare each on both databases.

/// A text in the making. Only used in constants.
pub(crate) struct Text {
    bytes: [u8; 8192],
    length: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 8192], length: 0 }
    }

    pub(crate) const fn push(mut self, part: &str) -> Self {
        let part = part.as_bytes();
        let mut at = 0;
        while at < part.len() {
            self.bytes[self.length] = part[at];
            self.length += 1;
            at += 1;
        }
        self
    }

    const fn push_number(self, number: usize) -> Self {
        let rest = if number >= 10 { self.push_number(number / 10) } else { self };
        let digit = [b'0' + (number % 10) as u8];
        match std::str::from_utf8(&digit) {
            Ok(digit) => rest.push(digit),
            Err(_) => rest,
        }
    }

    /// `id, name, labels`
    pub(crate) const fn columns(mut self, fields: &[&str]) -> Self {
        let mut at = 0;
        while at < fields.len() {
            self = self.push(if at == 0 { "" } else { ", " }).push(fields[at]);
            at += 1;
        }
        self
    }

    /// `$1, $2, $3`
    pub(crate) const fn marks(mut self, count: usize) -> Self {
        let mut at = 0;
        while at < count {
            self = self.push(if at == 0 { "$" } else { ", $" }).push_number(at + 1);
            at += 1;
        }
        self
    }

    /// `name = $2, labels = $3`: all fields but the first, which is the id.
    pub(crate) const fn assignments(mut self, fields: &[&str]) -> Self {
        let mut at = 1;
        while at < fields.len() {
            self = self.push(if at == 1 { "" } else { ", " }).push(fields[at]).push(" = $").push_number(at + 1);
            at += 1;
        }
        self
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    pub(crate) const fn cut<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut at = 0;
        while at < N {
            bytes[at] = self.bytes[at];
            at += 1;
        }
        bytes
    }
}

/// Keeps of a [`Text`] what was written.
macro_rules! finished {
    ($text:expr) => {{
        const TEXT: $crate::sql::Text = $text;
        const BYTES: [u8; TEXT.len()] = TEXT.cut();
        match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("made of texts"),
        }
    }};
}

/// Joins constant texts to one.
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {
        $crate::sql::finished!($crate::sql::Text::new()$(.push($part))+)
    };
}

/// Names the statements of a noun, each a join of constant texts, and lists them as `STATEMENTS`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $($part:expr),+;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $crate::sql::sql!($($part),+);)*
        /// The texts above, for the test that prepares them.
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}

/// A struct whose fields are columns of the same names, the id first.
macro_rules! row {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $type:ty,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)+ }

        #[allow(dead_code, reason = "not every noun needs each text")]
        impl $name {
            pub(crate) const FIELDS: &[&str] = &[$(stringify!($field)),+];
            pub(crate) const TYPES: &[$crate::value::Type] = &[$(<$type as $crate::value::Bind>::TYPE),+];
            /// `id, name, labels`
            pub(crate) const COLUMNS: &str =
                $crate::sql::finished!($crate::sql::Text::new().columns($name::FIELDS));
            /// `$1, $2, $3`
            pub(crate) const MARKS: &str =
                $crate::sql::finished!($crate::sql::Text::new().marks($name::FIELDS.len()));
            /// `name = $2, labels = $3`
            pub(crate) const ASSIGNMENTS: &str =
                $crate::sql::finished!($crate::sql::Text::new().assignments($name::FIELDS));

            pub(crate) fn values(&self) -> Vec<$crate::value::Value> {
                vec![$($crate::value::Bind::value(&self.$field)),+]
            }
        }

        impl $crate::value::Record for $name {
            fn read(row: &$crate::value::Row, at: &mut usize) -> $crate::Result<Self> {
                Ok(Self { $($field: $crate::value::next(row, at)?,)+ })
            }
        }
    };
}

pub(crate) use {finished, row, sql, statements};

#[cfg(test)]
mod tests {
    use super::*;

    row! {
        /// A thing.
        pub struct Thing {
            /// Its id.
            pub id: i64,
            /// Its name.
            pub name: String,
            /// Its colour.
            pub colour: Option<String>,
        }
    }

    #[test]
    fn texts_follow_the_fields() {
        const UPDATE: &str = sql!("UPDATE things SET ", Thing::ASSIGNMENTS, " WHERE id = $1");
        assert_eq!(Thing::COLUMNS, "id, name, colour");
        assert_eq!(Thing::MARKS, "$1, $2, $3");
        assert_eq!(UPDATE, "UPDATE things SET name = $2, colour = $3 WHERE id = $1");
    }

    #[test]
    fn marks_count_past_nine() {
        assert!(finished!(Text::new().marks(12)).ends_with("$9, $10, $11, $12"));
    }
}
