//! Large bodies, content-addressed: resumable uploads, a local directory or S3. It knows digests, sizes and systems;
//! not documents, not the ledger, not HTTP.
