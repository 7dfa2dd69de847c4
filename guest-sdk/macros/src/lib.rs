//! The derives and `labels!` of crate `ocf-agent`: what authors write becomes metadata that the host reads without
//! running the component. Use them through `ocf-agent`, which documents them with examples.
mod agent;
mod choice;
mod json;
mod kind;
mod labels;
mod parameters;

#[path = "../../src/canonical.rs"]
mod canonical;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Makes a struct the parameters of an agent, and writes its metadata. See `trait Parameters`.
#[proc_macro_derive(Parameters, attributes(agent, parameter))]
pub fn parameters(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    parameters::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes an enum the type of a parameter that the operator chooses from a list. See `trait Choice`.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn choice(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    choice::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Declares the labels of an agent: what it wants to use, and why, as the operator will read it.
///
/// ```text
/// labels! {
///     /// the daemon in the foreground
///     Program DAEMON = "daemon" suggest r#"
///         program = "/usr/sbin/exampled"
///         user    = ""
///     "#;
///     /// where the daemon leaves its marks
///     Path MARKS = "marks";
///     /// asks the daemon whether it is well
///     Endpoint STATUS = "status";
/// }
/// ```
///
/// Each becomes a constant of type `label::Program`, `label::Path` or `label::Endpoint`, and there is no other way to make one: what
/// is used is declared. A label is 1-64 of `a`-`z`, `0`-`9`, `-`. The text after `suggest` is offered to the operator as
/// the keys of the label's section of the policy.
#[proc_macro]
pub fn labels(input: TokenStream) -> TokenStream {
    let labels = parse_macro_input!(input as labels::Labels);
    labels::expand(&labels).unwrap_or_else(Error::into_compile_error).into()
}
