use std::collections::HashMap;

use super::*;
use crate::delivery::pending::DeliveryConfig;

fn environment(pairs: &[(&str, &str)]) -> config::Environment {
    let map: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    config::Environment::with_prefix("HUBWIRE").prefix_separator("_").separator("__").source(Some(map))
}

fn read(toml: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let file = config::File::from_str(toml, config::FileFormat::Toml);
    let variables = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let builder = config::Config::builder()
        .add_source(signalr::OwnNames(file))
        .add_source(signalr::OwnNames(signalr::environment(variables)))
        .add_source(signalr::OwnNames(environment(pairs)));
    let config = builder.build().and_then(config::Config::try_deserialize::<Config>)?;
    config.validate().map(|()| config)
}

#[test]
fn the_defaults_are_valid_and_signalrs() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.times.keep_alive, Duration::from_secs(15));
    assert_eq!(config.times.client_timeout, Duration::from_secs(30));
    assert_eq!(config.limits.message_bytes, 32_768);
    assert!(config.listen.ip().is_loopback());
}

#[test]
fn the_environment_wins_over_the_file() {
    let toml = "listen = '127.0.0.1:1'\n[times]\nkeep_alive = '5s'\n[cors]\norigins = ['https://a.example']";
    let config = read(
        toml,
        &[
            ("HUBWIRE_TIMES__KEEP_ALIVE", "7s"),
            ("HUBWIRE_LIMITS__MESSAGE_BYTES", "65536"),
            ("HUBWIRE_CORS__ORIGINS", "https://b.example, https://c.example:8443"),
            ("HUBWIRE_AUTH__SIGNING_KEY", "00000000000000000000000000000000"),
            ("HUBWIRE_STATUS_PAGE", "true"),
            ("OTHER_VARIABLE", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.times.keep_alive, Duration::from_secs(7));
    assert_eq!(config.limits.message_bytes, 65_536);
    assert_eq!(config.cors.origins, ["https://b.example", "https://c.example:8443"]);
    // A key of digits is a text nevertheless.
    assert_eq!(config.auth.signing_key.unwrap().len(), 32);
    assert!(config.status_page);
}

#[test]
fn errors_name_the_key() {
    for (toml, name) in [
        ("lisen = '127.0.0.1:1'", "lisen"),
        ("listen = 'here'", "listen"),
        ("[limits]\nmesage_bytes = 1", "mesage_bytes"),
        ("[limits]\nmessage_bytes = 'many'", "limits.message_bytes"),
        ("[limits]\nmessage_bytes = -1", "limits.message_bytes"),
        ("[limits]\nstreams = 0", "limits.streams"),
        ("[limits]\nframe_bytes = 1000", "limits.frame_bytes"),
        ("[times]\nsend = 10", "times.send"),
        ("[times]\nsend = '10'", "times.send"),
        ("[times]\nhandshake = '0s'", "times.handshake"),
        ("[times]\nclient_timeout = '10s'", "times.client_timeout"),
        ("[cors]\norigins = ['*']", "cors.origins"),
        ("[cors]\norigins = ['app.example']", "cors.origins"),
        ("[auth]\nsigning_key = 'short'", "auth.signing_key"),
        ("[auth]\njwks_file = '/nonexistent/keys'", "auth.jwks_file"),
        ("[limits]\nheader_bytes = 100", "limits.header_bytes"),
        ("[auth]\nsigning_key_file = '/nonexistent/key'", "auth.signing_key_file"),
        ("[chat]\nhistory = 0", "chat.history"),
        ("dev = true\nlisten = '0.0.0.0:80'", "listen"),
    ] {
        let error = read(toml, &[]).unwrap_err().to_string();
        assert!(error.starts_with("configuration: ") && error.contains(name), "{toml}: {error}");
    }
    let error = read("", &[("HUBWIRE_LIMITS__STREEMS", "1")]).unwrap_err().to_string();
    assert!(error.contains("streems"), "{error}");
    let both = "[auth]\nsigning_key = '00000000000000000000000000000000'\nsigning_key_file = 'x'";
    assert_eq!(read(both, &[]).unwrap_err().key(), "auth.signing_key");
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error =
        Config::load_from(Some(Path::new("/nonexistent/hubwire.toml")), environment(&[]), std::iter::empty())
            .unwrap_err();
    assert!(error.to_string().contains("nonexistent/hubwire.toml"), "{error}");
}

#[test]
fn keys_are_not_shown() {
    let config = read("[auth]\nsigning_key = 'a key that nobody may ever see in a log'", &[]).unwrap();
    assert!(!format!("{config:?}").contains("nobody may"));
}

#[test]
fn acknowledgements_have_the_names_that_others_give_them() {
    let own = "[signalr.acknowledgment]\nmessage_timeout_seconds = 7\n[signalr.message_queue]\nprocessing_batch_size = 3";
    let tables = "[SignalR.Acknowledgment]\nMessageTimeoutSeconds = 7\n[SignalR.MessageQueue]\nProcessingBatchSize = 3";
    let colons =
        "'SignalR:Acknowledgment:TimeoutSeconds' = 7\n'SignalR:MessageQueue:ProcessingBatchSize' = 3";
    for toml in [own, tables, colons] {
        let deliveries = read(toml, &[]).unwrap().signalr.deliveries();
        assert_eq!((deliveries.message_timeout.as_secs(), deliveries.store_batch), (7, 3), "{toml}");
        assert_eq!(deliveries.max_retry_delay.as_secs(), 32);
    }
    for name in [
        "SignalR__Acknowledgment__MessageTimeoutSeconds",
        "SIGNALR__ACKNOWLEDGMENT__TIMEOUTSECONDS",
        "HUBWIRE_SIGNALR__ACKNOWLEDGMENT__MESSAGE_TIMEOUT_SECONDS",
    ] {
        let deliveries = read("[SignalR.Acknowledgment]\nMaxRetryAttempts = 9", &[(name, "8")])
            .unwrap()
            .signalr
            .deliveries();
        assert_eq!((deliveries.message_timeout.as_secs(), deliveries.max_retry_attempts), (8, 9), "{name}");
    }
    assert_eq!(read("", &[]).unwrap().signalr.deliveries(), DeliveryConfig::default());
    assert_eq!(read("[store]\npath = 'x'", &[]).unwrap().store.path, Some("x".into()));
}

#[test]
fn settings_without_an_effect_are_refused() {
    for (toml, name) in [
        ("[signalr.message_queue]\nmax_retry_attempts = 5", "signalr.acknowledgment.max_retry_attempts"),
        (
            "[SignalR.MessageQueue]\nProcessingIntervalMs = 100",
            "signalr.message_queue.processing_interval_ms",
        ),
        ("'SignalR:Acknowledgment:Timeout' = 5", "Timeout"),
        ("'SignalR:Other:X' = 5", "Other"),
        ("'SignalR:Acknowledgment' = 5", "signalr.acknowledgment"),
        ("signalr = 5", "signalr"),
        (
            "[signalr.acknowledgment]\nmessage_timeout_seconds = 0",
            "signalr.acknowledgment.message_timeout_seconds",
        ),
        (
            "[signalr.message_queue]\nmax_retry_delay_seconds = 1",
            "signalr.message_queue.max_retry_delay_seconds",
        ),
    ] {
        let error = read(toml, &[]).unwrap_err().to_string();
        assert!(error.starts_with("configuration: ") && error.contains(name), "{toml}: {error}");
    }
}

#[test]
fn names_of_the_other_system_are_understood() {
    let batching = |toml: &str, pairs: &[(&str, &str)]| read(toml, pairs).unwrap().signalr.batching;
    assert_eq!(batching("", &[]).window_ms, 100);
    assert_eq!(batching("[signalr.batching]\nwindow_ms = 7", &[]).window_ms, 7);
    let toml = "[SignalR.Batching]\nWindowMs = 7\nMaxBatchSizeBytes = 1000\nGroupByMethod = false";
    let own = batching(toml, &[]);
    assert_eq!((own.window_ms, own.max_batch_size_bytes, own.group_by_method), (7, 1_000, false));
    for name in [
        "SignalR__Batching__WindowMs",
        "SIGNALR__BATCHING__WINDOWMS",
        "HUBWIRE_SIGNALR__BATCHING__WINDOW_MS",
        "SignalR:Batching:WindowMs",
    ] {
        let own = batching(toml, &[(name, "9")]);
        assert_eq!((own.window_ms, own.max_batch_size_bytes), (9, 1_000), "{name}");
    }
    for (toml, name) in [
        ("[SignalR.Batching]\nWindow = 1", "window"),
        ("[SignalR.Batchin]\nWindowMs = 1", "batchin"),
        ("[signalr.batching]\nwindow_ms = 0", "signalr.batching.window_ms"),
        ("[signalr.batching]\nmax_batch_size = 0", "signalr.batching.max_batch_size"),
    ] {
        let error = read(toml, &[]).unwrap_err().to_string();
        assert!(error.contains(name), "{toml}: {error}");
    }
    let error = read("", &[("SignalR__Batching__Windw", "1")]).unwrap_err().to_string();
    assert!(error.contains("windw"), "{error}");
}
