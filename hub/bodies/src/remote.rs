//! Bodies in a bucket that speaks S3: how it is reached, how a verified file is sent there, and the copies that are
//! kept on this machine for reading.
//!
//! The HTTP client is given to `object_store` ready made, because its own would bring another provider of
//! cryptography: here it is rustls with ring, requests are signed (SigV4) with ring.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig};
use ring::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use truc_model::Sha256;

use crate::error::BodyError;
use crate::keys;
use crate::limits::{PART_BYTES, PARTS_AT_ONCE, PARTS_MAX};
use crate::store::{BodyStore, Place};

/// Folder of the copies.
const COPIES: &str = "copies";

/// One attempt to connect to the bucket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence of the bucket within one answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Attempts after the first, of requests that can be repeated.
const RETRIES_MAX: usize = 5;

/// How long a request to a bucket is repeated that can be.
pub const RETRY_FOR: Duration = Duration::from_secs(30);

/// How a bucket is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// `https://host:port` of the service; with AWS itself empty.
    pub endpoint: String,
    /// Its region; services of one's own mostly take any.
    pub region: String,
    /// The bucket, which must exist.
    pub bucket: String,
    /// Folder inside the bucket; may be empty.
    pub prefix: String,
    /// Access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Authorities that signed the service's certificate, PEM, besides those the system trusts.
    pub ca_pem: Option<String>,
    /// The bucket is part of the host name instead of the path.
    pub virtual_hosted: bool,
    /// How long a request that can be repeated is repeated: [`RETRY_FOR`].
    pub retry_for: Duration,
}

impl std::fmt::Debug for S3Settings {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The client of a bucket. Nothing is sent yet.
pub(crate) fn connect(settings: &S3Settings) -> Result<Arc<dyn ObjectStore>, BodyError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_access_key_id(&settings.access_key_id)
        .with_secret_access_key(&settings.secret_access_key)
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        // Records of removals are taken over by comparing versions.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_allow_http(settings.endpoint.starts_with("http://"))
        .with_http_connector(Connector(client(settings.ca_pem.as_deref())?))
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES_MAX,
            retry_timeout: settings.retry_for,
        });
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    let bucket = builder
        .build()
        .map_err(|error| BodyError::Settings(error.to_string()))?;
    Ok(if settings.prefix.is_empty() {
        Arc::new(bucket)
    } else {
        Arc::new(PrefixStore::new(bucket, Path::from(settings.prefix.as_str())))
    })
}

/// Gives `object_store` the client that is ready.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

fn client(ca_pem: Option<&str>) -> Result<reqwest::Client, BodyError> {
    let fault = |what: &str, error: &dyn std::error::Error| BodyError::Settings(format!("{what}: {error}"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in ca_pem
        .into_iter()
        .flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()))
    {
        let certificate = certificate.map_err(|error| fault("the authorities do not read", &error))?;
        roots
            .add(certificate)
            .map_err(|error| fault("an authority cannot be used", &error))?;
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault("TLS", &error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| fault("the HTTP client", &error))
}

impl BodyStore {
    /// Sends a verified file into the bucket, and keeps it as the copy for reading. It is visible there when it is
    /// whole: parts of an upload that ends early are not.
    pub(crate) async fn send(&self, body: Sha256, size: u64, path: PathBuf) -> Result<(), BodyError> {
        let key = keys::object(&body);
        let opened = path.clone();
        let file = tokio::task::spawn_blocking(move || File::open(opened)).await?;
        let file = Arc::new(file.map_err(BodyError::file("read the file of an upload"))?);
        let single = u64::try_from(PART_BYTES).unwrap_or(u64::MAX);
        if size <= single {
            let bytes = part(file, 0, size).await?;
            let sent = self.inner.objects.put(&key, PutPayload::from(bytes)).await;
            sent.map_err(BodyError::store("store a body"))?;
        } else {
            self.send_parts(&key, file, size).await?;
        }
        // A service that says yes and keeps less is caught here, not by the recipient.
        if self.size(body).await? != Some(size) {
            return Err(BodyError::Damaged);
        }
        let copy = self.copy_path(body);
        tokio::task::spawn_blocking(move || std::fs::rename(path, copy))
            .await?
            .map_err(BodyError::file("keep a copy of a body"))
    }

    async fn send_parts(&self, key: &Path, file: Arc<File>, size: u64) -> Result<(), BodyError> {
        let mut upload = self
            .inner
            .objects
            .put_multipart(key)
            .await
            .map_err(BodyError::store("begin to store a body"))?;
        let length = part_length(size);
        let mut under_way = stream::FuturesUnordered::new();
        let mut start = 0;
        let sent = async {
            while start < size {
                let end = start.saturating_add(length).min(size);
                let bytes = part(Arc::clone(&file), start, end).await?;
                start = end;
                under_way.push(upload.put_part(PutPayload::from(bytes)));
                if under_way.len() >= PARTS_AT_ONCE
                    && let Some(sent) = under_way.next().await
                {
                    sent.map_err(BodyError::store("store a part of a body"))?;
                }
            }
            while let Some(sent) = under_way.next().await {
                sent.map_err(BodyError::store("store a part of a body"))?;
            }
            Ok::<_, BodyError>(())
        }
        .await;
        drop(under_way);
        match sent {
            Ok(()) => upload
                .complete()
                .await
                .map(|_| ())
                .map_err(BodyError::store("finish to store a body")),
            Err(error) => {
                // What cannot be taken back now, the bucket's own rule for unfinished uploads does.
                if let Err(left) = upload.abort().await {
                    tracing::debug!(error = %left, "parts of a body are left in the bucket");
                }
                Err(error)
            }
        }
    }

    /// The copy of a body, fetched and verified when there is none.
    pub(crate) async fn copy_of(&self, body: Sha256) -> Result<Option<File>, BodyError> {
        let path = self.copy_path(body);
        let kept = path.clone();
        match tokio::task::spawn_blocking(move || File::open(kept)).await? {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(BodyError::file("open the copy of a body")(error)),
        }
        let Some(open) = self.open(body).await? else {
            return Ok(None);
        };
        let size = open.size();
        let id = self.inner.random.uuid_v7(self.inner.clock.now());
        let fetching = path.with_extension(format!("{id}"));
        let fetched = fetch(open.stream(0..size)?, fetching.clone(), body).await;
        tokio::task::spawn_blocking(move || {
            if let Err(error) = fetched {
                // Swept away later when it cannot be removed now.
                let _ = std::fs::remove_file(fetching);
                return Err(error);
            }
            // Opened anew: for reading alone, and from its beginning.
            let file = File::open(&fetching).map_err(BodyError::file("open the copy of a body"))?;
            std::fs::rename(fetching, path).map_err(BodyError::file("keep a copy of a body"))?;
            Ok(Some(file))
        })
        .await?
    }

    pub(crate) async fn drop_copy(&self, body: Sha256) -> Result<(), BodyError> {
        let path = self.copy_path(body);
        match tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await? {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(BodyError::file("remove the copy of a body")(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the oldest copies until the others fit, and what was being fetched when a hub was killed.
    pub(crate) async fn trim_copies(&self) -> Result<(), BodyError> {
        if self.inner.place == Place::Local {
            return Ok(());
        }
        let (dir, max) = (self.path(COPIES), self.settings().copies_max_bytes);
        tokio::task::spawn_blocking(move || trim(&dir, max)).await?
    }

    fn copy_path(&self, body: Sha256) -> PathBuf {
        self.path(COPIES).join(body.to_string())
    }
}

/// Bytes of one part: as few as S3 takes, more only where there would be too many parts.
const fn part_length(size: u64) -> u64 {
    let least = size.div_ceil(PARTS_MAX);
    if least > PART_BYTES as u64 {
        least
    } else {
        PART_BYTES as u64
    }
}

async fn part(file: Arc<File>, start: u64, end: u64) -> Result<Bytes, BodyError> {
    tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(&mut bytes, start)
            .map_err(BodyError::file("read the file of an upload"))?;
        Ok(Bytes::from(bytes))
    })
    .await?
}

/// Writes a stream to a new file and compares its digest.
async fn fetch(mut pieces: crate::open::BodyStream, path: PathBuf, body: Sha256) -> Result<(), BodyError> {
    let mut file = tokio::task::spawn_blocking(move || {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).open(path)
    })
    .await?
    .map_err(BodyError::file("make a copy of a body"))?;
    let mut context = Context::new(&SHA256);
    while let Some(piece) = pieces.try_next().await? {
        (file, context) = tokio::task::spawn_blocking(move || {
            context.update(&piece);
            file.write_all(&piece).map(|()| (file, context))
        })
        .await?
        .map_err(BodyError::file("write the copy of a body"))?;
    }
    if Sha256::from_ring(&context.finish()) == body {
        Ok(())
    } else {
        Err(BodyError::Damaged)
    }
}

fn trim(dir: &FilePath, max: u64) -> Result<(), BodyError> {
    let fault = || BodyError::file("list the copies of bodies");
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault())? {
        let entry = entry.map_err(fault())?;
        if let Ok(data) = entry.metadata() {
            copies.push((data.modified().map_err(fault())?, data.len(), entry.path()));
        }
    }
    // Newest first: those that fit together stay.
    copies.sort_by(|a, b| b.cmp(a));
    let mut kept: u64 = 0;
    for (_, length, path) in copies {
        kept = kept.saturating_add(length);
        if kept > max {
            std::fs::remove_file(path).map_err(BodyError::file("remove the copy of a body"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_size_has_no_more_parts_than_a_bucket_takes() {
        let part = PART_BYTES as u64;
        let edge = part * PARTS_MAX;
        for (size, length, parts) in [
            (part + 1, part, 2),
            (edge - 1, part, PARTS_MAX),
            (edge, part, PARTS_MAX),
            (edge + 1, part + 1, PARTS_MAX),
            (2 * edge, 2 * part, PARTS_MAX),
            (2 * edge + 1, 2 * part + 1, PARTS_MAX),
        ] {
            assert_eq!(part_length(size), length, "{size}");
            let count = size.div_ceil(part_length(size));
            assert!(count <= parts, "{size}: {count} parts");
        }
        // No part is larger than a bucket takes (5 GiB) up to the largest object there (5 TiB).
        assert!(part_length(5 << 40) <= 5 << 30);
    }
}
