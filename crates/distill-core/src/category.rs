//! The kinds of failure. Libraries say which kind an error is; only the binary turns a kind into an exit code.

/// What kind of failure an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A quality gate failed.
    Gate,
    /// Wrong usage or settings, found before any work.
    Usage,
    /// Input data that cannot be used as it is.
    Data,
    /// A defect of distill, a failure inside libtorch, or a NaN or infinite loss.
    Internal,
    /// The output cannot be created, or another run owns it.
    CannotCreate,
    /// Reading or writing failed.
    Io,
    /// Stopped by a signal or a time limit; running the same command again resumes.
    Stopped,
}

impl Category {
    /// The process exit code, after `sysexits.h` where it has one.
    pub fn exit_code(self) -> u8 {
        match self {
            Category::Gate => 1,
            Category::Usage => 2,
            Category::Data => 65,
            Category::Internal => 70,
            Category::CannotCreate => 73,
            Category::Io => 74,
            Category::Stopped => 75,
        }
    }
}
