//! What a model predicts, without libtorch and without reading files.
