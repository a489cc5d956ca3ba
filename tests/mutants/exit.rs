//! What the settings' files take from the rest of the binary.

/// Wrong settings.
#[derive(Debug)]
pub struct RunError(String);

impl RunError {
    pub fn usage(message: impl Into<String>) -> Self {
        RunError(message.into())
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}
