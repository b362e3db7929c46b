package dev.hubwire.interop;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.plugins.RxJavaPlugins;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The official Java client against a server that has the interop hub of ../HUB.md.
 *
 * <p>{@code --url URL [--peer NAME] [--report FILE] [--only PART-OF-NAME] [--transports WebSockets,LongPolling]
 * [--no-skips true]}
 */
public final class Main {
    private static final Map<String, TransportEnum> TRANSPORTS =
            Map.of("WebSockets", TransportEnum.WEBSOCKETS, "LongPolling", TransportEnum.LONG_POLLING);
    private static final long LIMIT = 30;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        // Also ends the threads of the client's HTTP library.
        System.exit(run(arguments));
    }

    private static int run(String[] arguments) throws Exception {
        var options = new HashMap<>(Map.of(
                "--peer", "hubwire", "--only", "", "--report", "", "--transports", "WebSockets", "--no-skips", "false"));
        for (var at = 0; at < arguments.length; at += 2) {
            if (at + 1 == arguments.length || !(options.containsKey(arguments[at]) || arguments[at].equals("--url"))) {
                return wrong(arguments[at] + ": not an option, or its value is missing");
            }
            options.put(arguments[at], arguments[at + 1]);
        }
        var peers = new Peers();
        var url = options.get("--url");
        var peer = options.get("--peer");
        if (url == null || !peers.servers().contains(peer)) {
            return wrong(url == null ? "--url is missing" : "--peer: none of " + peers.servers());
        }
        var transports = List.of(options.get("--transports").split(","));
        if (!TRANSPORTS.keySet().containsAll(transports)) {
            return wrong("--transports: there are " + TRANSPORTS.keySet());
        }
        var scenarios = new ArrayList<Scenario>();
        List.of(Calls.all(), Pushes.all(), Streams.all(), Lifetime.all()).forEach(scenarios::addAll);
        scenarios.removeIf(scenario -> !scenario.name().contains(options.get("--only")));
        var results = new JsonArray();
        for (var transport : transports) {
            for (var scenario : scenarios) {
                // Without negotiation there is no other transport.
                if (scenario.needs().contains("websockets-only") && !transport.equals("WebSockets")) {
                    continue;
                }
                var reason = peers.cannot(peer, "json", transport, scenario.name(), scenario.needs());
                var skip = reason.isPresent() && !Boolean.parseBoolean(options.get("--no-skips"));
                results.add(skip ? result(transport, scenario.name(), "skip", reason.get(), 0)
                        : tried(url, transport, scenario));
            }
        }
        report(options.get("--report"), peer, results);
        return failures(results) > 0 || results.isEmpty() ? 1 : 0;
    }

    private static int wrong(String text) {
        System.err.println(text);
        return 2;
    }

    private static JsonObject tried(String url, String transport, Scenario scenario) {
        // What the client throws where nobody waits for it is a failure of the scenario that runs.
        var stray = new ArrayList<String>();
        RxJavaPlugins.setErrorHandler(error -> stray.add(String.valueOf(error)));
        var started = System.nanoTime();
        var executor = Executors.newSingleThreadExecutor();
        String failure = null;
        try (var run = new Run(url, TRANSPORTS.get(transport))) {
            var running = executor.submit(() -> {
                scenario.body().run(run);
                return null;
            });
            running.get(LIMIT, TimeUnit.SECONDS);
        } catch (TimeoutException error) {
            failure = "not done after " + LIMIT + " s";
        } catch (ExecutionException error) {
            failure = String.valueOf(error.getCause());
        } catch (InterruptedException error) {
            failure = "interrupted";
        } finally {
            executor.shutdownNow();
        }
        if (failure == null && !stray.isEmpty()) {
            failure = "an error that nobody waited for: " + stray.get(0);
        }
        var milliseconds = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started);
        return result(transport, scenario.name(), failure == null ? "pass" : "fail", failure, milliseconds);
    }

    private static JsonObject result(String transport, String name, String outcome, String reason, long milliseconds) {
        System.out.printf("%s  %-11s  %-12s  %s%s%n", outcome, "json", transport, name, reason == null ? "" : "  " + reason);
        var result = new JsonObject();
        result.addProperty("protocol", "json");
        result.addProperty("transport", transport);
        result.addProperty("scenario", name);
        result.addProperty("outcome", outcome);
        if (reason != null) {
            result.addProperty("reason", reason);
        }
        result.addProperty("milliseconds", milliseconds);
        return result;
    }

    private static int failures(JsonArray results) {
        var failed = 0;
        for (var result : results) {
            failed += result.getAsJsonObject().get("outcome").getAsString().equals("fail") ? 1 : 0;
        }
        return failed;
    }

    private static void report(String file, String peer, JsonArray results) throws IOException {
        if (file.isEmpty()) {
            return;
        }
        var properties = new Properties();
        try (var stream = Main.class.getResourceAsStream("/client.properties")) {
            properties.load(stream);
        }
        var report = new JsonObject();
        report.addProperty("client", properties.getProperty("client"));
        report.addProperty("peer", peer);
        report.add("results", results);
        Files.writeString(Path.of(file), report.toString());
    }
}
