//! Users and permissions of systems, by RabbitMQ's management interface (HTTP).
//!
//! A system's user has no tags (it cannot log in to the management interface) and exactly the rights of
//! [`crate::system_permissions`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use truc_model::SystemId;

use crate::broker::Cause;
use crate::topology::system_permissions;

/// Longest wait for one request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for a connection: of several nodes the next is asked then.
const REACH_LIMIT: Duration = Duration::from_secs(3);
/// Largest answer read, in bytes.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// The management interface, logged in as an administrator, for one virtual host.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    agent: ureq::Agent,
    /// Of each node one; at least one.
    urls: Vec<String>,
    /// The number of the one that answered last.
    current: AtomicUsize,
    user: String,
    authorization: String,
    vhost: String,
}

/// Why an account could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// Not reached.
    #[error("the management interface at {url} does not answer")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the network said.
        #[source]
        source: Cause,
    },
    /// Wrong user or password, or no administrator.
    #[error("the management interface refused user '{user}': wrong password, or no tag 'administrator'")]
    Refused {
        /// The user.
        user: String,
    },
    /// The name belongs to a user with tags: an administrator or another person.
    #[error("broker user '{user}' has management tags; a system cannot have its name")]
    NotASystem {
        /// The user.
        user: String,
    },
    /// It answered something else.
    #[error("the management interface answered {status} to {request}: {reason}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// Method and path.
        request: String,
        /// Its words.
        reason: String,
    },
    /// Its answer could not be read.
    #[error("the management interface's answer to {request} could not be read")]
    Unreadable {
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: Cause,
    },
}

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// RabbitMQ's version.
    pub version: String,
    /// Erlang's version.
    pub erlang: String,
    /// The node's name.
    pub node: String,
    /// Standing alarms (`memory`, `disk`), with the node; publishers are blocked while there are any.
    pub alarms: Vec<String>,
}

/// A node of the broker's cluster, as the node that was asked sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClusterNode {
    /// Its name, such as `rabbit@mq1`.
    pub name: String,
    /// Whether it takes part now.
    #[serde(default)]
    pub running: bool,
}

/// A user with rights on the virtual host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// The system it stands for, with exactly a system's rights.
    pub system: Option<SystemId>,
}

impl Accounts {
    /// An administrator's access. `url` as `http://host:15672`; nothing is asked yet.
    #[must_use]
    pub fn new(url: &str, user: &str, password: &str, vhost: &str) -> Self {
        Self::of_nodes(&[url], user, password, vhost)
    }

    /// The same for a cluster, each node of which knows all accounts: one that is not reached is left for the
    /// next, and the one that answered is asked first from then on. Repeating a request does no harm: each
    /// says how things are to be.
    #[must_use]
    pub fn of_nodes<T: AsRef<str>>(urls: &[T], user: &str, password: &str, vhost: &str) -> Self {
        use base64::Engine as _;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_LIMIT))
            .timeout_connect(Some(REACH_LIMIT))
            // Statuses are read here, not turned into errors without the answer's words.
            .http_status_as_error(false)
            .build()
            .into();
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self(Arc::new(Inner {
            agent,
            urls: urls
                .iter()
                .map(|url| url.as_ref().trim_end_matches('/').to_owned())
                .collect(),
            current: AtomicUsize::new(0),
            user: user.to_owned(),
            authorization: format!("Basic {login}"),
            vhost: vhost.to_owned(),
        }))
    }

    /// Makes the virtual host, if it is missing, and gives the administrator all rights on it.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn ensure_vhost(&self) -> Result<(), AccountsError> {
        let vhost = encode(&self.0.vhost);
        self.put(format!("/api/vhosts/{vhost}"), json!({})).await?;
        let rights = json!({"configure": ".*", "write": ".*", "read": ".*"});
        let user = encode(&self.0.user);
        self.put(format!("/api/permissions/{vhost}/{user}"), rights).await
    }

    /// Makes a system's user or gives it a new password, with a system's rights and no other.
    ///
    /// # Errors
    /// [`AccountsError::NotASystem`] when the name is an administrator's (its rights would be lost).
    pub async fn ensure_system(&self, system: &SystemId, password: &str) -> Result<(), AccountsError> {
        self.is_there(system).await?;
        self.set_password(system, password).await?;
        let (configure, write, read) = system_permissions(system);
        let (vhost, user) = (encode(&self.0.vhost), encode(system.as_str()));
        let rights = json!({"configure": configure, "write": write, "read": read});
        self.put(format!("/api/permissions/{vhost}/{user}"), rights).await
    }

    /// Gives a system a new password. Connections made with the old one go on until they are closed:
    /// see [`Accounts::close_connections`].
    ///
    /// # Errors
    /// [`AccountsError::Answer`] with status 404 when there is no such user.
    pub async fn rotate_password(&self, system: &SystemId, password: &str) -> Result<(), AccountsError> {
        if self.is_there(system).await? {
            return self.set_password(system, password).await;
        }
        Err(AccountsError::Answer {
            status: 404,
            request: format!("GET /api/users/{system}"),
            reason: "no such user".to_owned(),
        })
    }

    /// Removes a system's user; its connections end. The inbox stays, with what is in it.
    ///
    /// # Errors
    /// [`AccountsError`]; a user who is not there is no error.
    pub async fn remove_system(&self, system: &SystemId) -> Result<(), AccountsError> {
        if !self.is_there(system).await? {
            return Ok(());
        }
        self.close_connections(system).await?;
        let path = format!("/api/users/{}", encode(system.as_str()));
        match self.call("DELETE", path, None).await {
            Ok(_) | Err(AccountsError::Answer { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the connections of a system's user and says how many there were.
    ///
    /// RabbitMQ lists a new connection only after its next statistics are taken (5 s by default).
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn close_connections(&self, system: &SystemId) -> Result<usize, AccountsError> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            user: Option<String>,
        }
        let rows: Vec<Row> = self.get("/api/connections".to_owned()).await?;
        let mut closed = 0;
        for row in rows {
            if row.user.as_deref() == Some(system.as_str()) {
                let path = format!("/api/connections/{}", encode(&row.name));
                match self.call("DELETE", path, None).await {
                    // Gone by itself meanwhile.
                    Ok(_) | Err(AccountsError::Answer { status: 404, .. }) => closed += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(closed)
    }

    /// All users with rights on the virtual host, by name.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn list(&self) -> Result<Vec<Account>, AccountsError> {
        #[derive(Deserialize)]
        struct Row {
            user: String,
            configure: String,
            write: String,
            read: String,
        }
        let path = format!("/api/vhosts/{}/permissions", encode(&self.0.vhost));
        let rows: Vec<Row> = self.get(path).await?;
        let mut accounts: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let rights = (row.configure, row.write, row.read);
                let system = SystemId::new(&row.user)
                    .ok()
                    .filter(|system| system_permissions(system) == rights);
                Account {
                    user: row.user,
                    system,
                }
            })
            .collect();
        accounts.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(accounts)
    }

    /// Version and alarms.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn overview(&self) -> Result<Overview, AccountsError> {
        #[derive(Deserialize)]
        struct Row {
            rabbitmq_version: String,
            erlang_version: String,
            node: String,
        }
        #[derive(Deserialize)]
        struct Alarms {
            #[serde(default)]
            alarms: Vec<Alarm>,
        }
        #[derive(Deserialize)]
        struct Alarm {
            node: String,
            resource: String,
        }
        let row: Row = self.get("/api/overview".to_owned()).await?;
        let path = "/api/health/checks/alarms";
        // Standing alarms are answered with status 503 and their list.
        let (status, body) = self.request("GET", path.to_owned(), None).await?;
        let alarms: Alarms = match status {
            200 | 503 => read(&body, &format!("GET {path}"))?,
            _ => return Err(answer(status, &format!("GET {path}"), &body)),
        };
        Ok(Overview {
            version: row.rabbitmq_version,
            erlang: row.erlang_version,
            node: row.node,
            alarms: alarms
                .alarms
                .into_iter()
                .map(|alarm| format!("{} on {}", alarm.resource, alarm.node))
                .collect(),
        })
    }

    /// The nodes of the cluster; one alone is a cluster of one.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn nodes(&self) -> Result<Vec<ClusterNode>, AccountsError> {
        self.get("/api/nodes".to_owned()).await
    }

    /// Whether a system's user exists; an error when the name is somebody else's.
    async fn is_there(&self, system: &SystemId) -> Result<bool, AccountsError> {
        #[derive(Deserialize)]
        struct Row {
            // A list since RabbitMQ 3.9, before that a text with commas.
            #[serde(default)]
            tags: Value,
        }
        let path = format!("/api/users/{}", encode(system.as_str()));
        let row: Row = match self.get(path).await {
            Ok(row) => row,
            Err(AccountsError::Answer { status: 404, .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let none = match &row.tags {
            Value::Array(tags) => tags.is_empty(),
            Value::String(tags) => tags.is_empty(),
            _ => true,
        };
        if none {
            return Ok(true);
        }
        Err(AccountsError::NotASystem {
            user: system.to_string(),
        })
    }

    async fn set_password(&self, system: &SystemId, password: &str) -> Result<(), AccountsError> {
        let path = format!("/api/users/{}", encode(system.as_str()));
        self.put(path, json!({"password": password, "tags": ""})).await
    }

    async fn put(&self, path: String, body: Value) -> Result<(), AccountsError> {
        self.call("PUT", path, Some(body)).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, AccountsError> {
        let request = format!("GET {path}");
        let body = self.call("GET", path, None).await?;
        read(&body, &request)
    }

    /// A request that must succeed.
    async fn call(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Result<Vec<u8>, AccountsError> {
        let request = format!("{method} {path}");
        let (status, body) = self.request(method, path, body).await?;
        match status {
            200..=299 => Ok(body),
            _ => Err(answer(status, &request, &body)),
        }
    }

    /// A request on a thread of its own, because ureq blocks; to each node once, until one answers.
    async fn request(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Result<(u16, Vec<u8>), AccountsError> {
        let inner = Arc::clone(&self.0);
        let unreachable = |source| AccountsError::Unreachable {
            url: self.0.urls.join(", "),
            source,
        };
        let (status, bytes) = tokio::task::spawn_blocking(move || inner.send_to_any(method, &path, body))
            .await
            .map_err(|error| unreachable(Cause::of(&error)))?
            .map_err(|error| unreachable(Cause::of(&error)))?;
        if status == 401 {
            return Err(AccountsError::Refused {
                user: self.0.user.clone(),
            });
        }
        Ok((status, bytes))
    }
}

impl Inner {
    fn send_to_any(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Vec<u8>), ureq::Error> {
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let first = self.current.load(Ordering::Relaxed);
        let mut failed = None;
        for turn in 0..self.urls.len() {
            let at = (first + turn) % self.urls.len();
            let Some(url) = self.urls.get(at) else { continue };
            match self.send(url, method, path, bytes.clone()) {
                Ok(answer) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or(ureq::Error::HostNotFound))
    }

    fn send(
        &self,
        url: &str,
        method: &str,
        path: &str,
        bytes: String,
    ) -> Result<(u16, Vec<u8>), ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(bytes)?;
        let mut response = self.agent.run(request)?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX)
            .read_to_vec()?;
        Ok((status, body))
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("urls", &self.0.urls)
            .field("user", &self.0.user)
            .field("vhost", &self.0.vhost)
            .finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned>(body: &[u8], request: &str) -> Result<T, AccountsError> {
    serde_json::from_slice(body).map_err(|error| AccountsError::Unreadable {
        request: request.to_owned(),
        source: Cause::of(&error),
    })
}

fn answer(status: u16, request: &str, body: &[u8]) -> AccountsError {
    let reason = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| {
            let word = value.get("reason").or_else(|| value.get("error"))?;
            word.as_str().map(str::to_owned)
        })
        .unwrap_or_else(|| "no reason given".to_owned());
    AccountsError::Answer {
        status,
        request: request.to_owned(),
        reason,
    }
}

/// Percent-encodes one segment of a path.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode("/"), "%2F");
        assert_eq!(encode("00.60.w00"), "00.60.w00");
        assert_eq!(encode("127.0.0.1:1 -> x"), "127.0.0.1%3A1%20-%3E%20x");
    }

    #[tokio::test]
    async fn nobody_there_is_said_without_the_password() {
        let accounts = Accounts::new("http://127.0.0.1:1/", "admin", "s3cret", "/");
        let error = accounts.overview().await.unwrap_err();
        assert!(matches!(error, AccountsError::Unreachable { .. }));
        let shown = format!("{accounts:?} {error} {error:?}");
        assert!(shown.contains("127.0.0.1:1") && !shown.contains("s3cret"));
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2/"];
        let several = Accounts::of_nodes(&urls, "admin", "s3cret", "/");
        let shown = several.overview().await.unwrap_err().to_string();
        assert!(shown.contains("127.0.0.1:1, http://127.0.0.1:2 "), "{shown}");
    }
}
