//! The kinds of things that requests refer to by ID.

/// What an ID refers to.
pub trait Kind: 'static {
    /// The kind with its article, for error messages: `an org`.
    const ONE: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $one:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {}

        impl Kind for $name {
            const ONE: &'static str = $one;
        }
    )*};
}

kinds! {
    /// A document of any kind.
    Anything = "a document";
    /// An account.
    Account = "an account";
    /// An account of the admin project.
    AdminAccount = "an account of the admin project";
    /// An account of the assessment project.
    AssessmentAccount = "an account of the assessment project";
    /// An administration.
    Administration = "an administration";
    /// A user.
    User = "a user";
    /// An org of any type.
    Org = "an org";
    /// A district.
    District = "a district";
    /// A school.
    School = "a school";
    /// A class.
    Class = "a class";
    /// A group.
    Group = "a group";
    /// A family.
    Family = "a family";
    /// A district, by its ID at Clever.
    CleverDistrict = "a district at Clever";
    /// Two users who may be one person.
    Pair = "a pair";
}
