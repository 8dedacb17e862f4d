//! Every answer that is not a review: a status and one plain sentence.

use super::PATH;
use crate::admission::Malformed;
use crate::metrics::Code;
use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::Response;

/// Why a request gets no review.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("only `{PATH}` is served here")]
    NotFound,
    #[error("only POST is accepted at `{PATH}`")]
    MethodNotAllowed,
    #[error("only the content type `application/json` is accepted")]
    NotJson,
    #[error("the body is larger than the {limit} bytes that are accepted")]
    TooLarge {
        /// In bytes.
        limit: usize,
        /// Whether the whole body was taken off the caller.
        is_at_end: bool,
    },
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the body ended before its time")]
    Broken,
    #[error("the body was not there in time")]
    Late,
    #[error("too many reviews are in flight: try again in a second")]
    Busy {
        /// Whether the whole body was taken off the caller.
        is_at_end: bool,
    },
    #[error("the webhook is not ready yet: try again in a second")]
    NotReady,
    #[error("the webhook failed to read the review")]
    Fault,
}

impl Refusal {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::NotJson => Code::UnsupportedMediaType,
            Self::TooLarge { .. } => Code::ContentTooLarge,
            Self::Malformed(_) | Self::Broken => Code::BadRequest,
            Self::Late => Code::GatewayTimeout,
            Self::Busy { .. } | Self::NotReady => Code::ServiceUnavailable,
            Self::Fault => Code::InternalServerError,
        }
    }

    pub(super) fn into_response(self, version: Version) -> Response {
        let mut response = Response::new(Body::from(self.to_string()));
        *response.status_mut() = self.code().into();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match self {
            Self::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            // The API server sleeps that long and calls again, within its own timeout.
            Self::Busy { .. } | Self::NotReady => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        // HTTP/2 ends the stream alone, and knows no such header.
        if self.leaves_body_unread() && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Whether the connection stands in the middle of a body that nobody will read.
    fn leaves_body_unread(&self) -> bool {
        match self {
            Self::TooLarge { is_at_end, .. } | Self::Busy { is_at_end } => !is_at_end,
            Self::Late | Self::Broken => true,
            _ => false,
        }
    }
}

impl From<Code> for StatusCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::OK,
            Code::BadRequest => Self::BAD_REQUEST,
            Code::NotFound => Self::NOT_FOUND,
            Code::MethodNotAllowed => Self::METHOD_NOT_ALLOWED,
            Code::ContentTooLarge => Self::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType => Self::UNSUPPORTED_MEDIA_TYPE,
            Code::InternalServerError => Self::INTERNAL_SERVER_ERROR,
            Code::ServiceUnavailable => Self::SERVICE_UNAVAILABLE,
            Code::GatewayTimeout => Self::GATEWAY_TIMEOUT,
        }
    }
}
