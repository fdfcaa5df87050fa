//! What stands between the store and the service: a wire that can be cut, and one that is encrypted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Passes on so many bytes towards the service, then cuts every connection until it is mended.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    left: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub(crate) async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let room = Arc::clone(&left);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, service, Arc::clone(&room)));
            }
        });
        Self { address, left, task }
    }

    /// Bytes that it passed on since it was last mended.
    pub(crate) fn passed(&self) -> i64 {
        i64::MAX - self.left.load(Ordering::SeqCst)
    }

    /// Breaks after `bytes` more.
    pub(crate) fn breaks_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.breaks_after(i64::MAX);
    }
}

async fn pass(client: TcpStream, service: SocketAddr, left: Arc<AtomicI64>) {
    if left.load(Ordering::SeqCst) <= 0 {
        return;
    }
    let Ok(service) = TcpStream::connect(service).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_service, &mut to_client).await;
    });
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        let count = i64::try_from(read).unwrap();
        if left.fetch_sub(count, Ordering::SeqCst) < count {
            // In the middle of a request: both sides see it break.
            back.abort();
            return;
        }
        if to_service.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to_service.shutdown().await;
    let _ = back.await;
}

/// An encrypted port before a service in clear text, and the certificate to trust, PEM.
pub(crate) async fn encrypted(service: SocketAddr) -> (SocketAddr, String) {
    let named = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let pem = named.cert.pem();
    let key = rustls::pki_types::PrivateKeyDer::try_from(named.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![named.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (Ok(mut client), Ok(mut service)) =
                    (acceptor.accept(client).await, TcpStream::connect(service).await)
                else {
                    return;
                };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
            });
        }
    });
    (address, pem)
}
