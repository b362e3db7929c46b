package dev.hubwire.interop;

import static dev.hubwire.interop.Run.json;

import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionState;
import java.util.List;
import java.util.Optional;

/** Keep-alive, stopping, being closed by the server, and connections that do not come about. */
final class Lifetime {
    private Lifetime() {}

    static List<Scenario> all() {
        return List.of(
                Scenario.of("keep-alive", Lifetime::keepAlive).needs("messagepack-pings"),
                Scenario.of("stop", Lifetime::stop).needs("websocket-close"),
                Scenario.of("start-again", Lifetime::startAgain).needs("websocket-close"),
                Scenario.of("server-close", t -> {
                    t.equal(closedByServer(t, false, ""), Optional.empty(), "error of onClosed");
                }).needs("messagepack-close", "close-without-error"),
                Scenario.of("server-close-with-error", t -> {
                    t.equal(closedByServer(t, false, "maintenance"), Optional.of("maintenance"), "error of onClosed");
                }).needs("messagepack-close"),
                Scenario.of("server-close-allow-reconnect", t -> {
                    var hub = t.connect();
                    var first = hub.getConnectionId();
                    hub.send("CloseMe", true, "");
                    t.until(() -> hub.getConnectionId() != null && !first.equals(hub.getConnectionId()), "the reconnect");
                }).needs("messagepack-close", "reconnect"),
                Scenario.of("groups-end-with-the-connection", Lifetime::groupsEnd).needs("websocket-close"),
                Scenario.of("too-large-a-message", t -> {
                    var hub = t.connect();
                    var other = t.connect();
                    var closed = t.closing(hub);
                    t.rejects(() -> t.invoke(hub, "Echo", "x".repeat(40 * 1024)));
                    t.get(closed);
                    t.alive(other);
                }),
                Scenario.of("unknown-hub", t -> {
                    var text = t.rejects(() -> t.await(t.prepare(t.url() + "-of-nobody", null, false).start()));
                    t.ok(text.contains("404"), "the error does not tell the status: " + text);
                }),
                Scenario.of("connection-refused", t -> {
                    t.rejects(() -> t.await(t.prepare("http://127.0.0.1:1/hubs/interop", null, false).start()));
                }),
                Scenario.of("skip-negotiation", t -> {
                    var hub = t.prepare(t.url(), null, true);
                    t.await(hub.start());
                    t.alive(hub);
                }).needs("websockets-only"));
    }

    private static void keepAlive(Run t) throws Exception {
        var hub = t.connect();
        // Longer than the server waits for a client (5 s), and than this client waits for the server.
        hub.setServerTimeout(3000);
        var closed = t.closing(hub);
        Thread.sleep(7000);
        t.ok(!closed.isDone(), "the connection was closed while idle");
        t.alive(hub);
    }

    private static void stop(Run t) throws Exception {
        var hub = t.connect();
        var witness = t.connect();
        var closed = t.closing(hub);
        var id = hub.getConnectionId();
        t.await(hub.stop());
        t.equal(t.get(closed), Optional.empty(), "error of onClosed");
        t.equal(hub.getConnectionState(), HubConnectionState.DISCONNECTED, "state");
        t.until(() -> seen(t, witness, id), "the hub sees the disconnect");
        var ending = t.invoke(witness, "Disconnected", id).getAsJsonObject();
        t.ok(ending.get("error").isJsonNull(), "the hub saw an error: " + ending);
    }

    private static boolean seen(Run t, HubConnection witness, String id) {
        return t.invoke(witness, "Disconnected", id).getAsJsonObject().get("seen").getAsBoolean();
    }

    private static void startAgain(Run t) throws Exception {
        var hub = t.connect();
        var first = hub.getConnectionId();
        restart(t, hub);
        t.ok(!first.equals(hub.getConnectionId()), "the second start has the first connection id");
        t.alive(hub);
    }

    private static void restart(Run t, HubConnection hub) throws Exception {
        var closed = t.closing(hub);
        t.await(hub.stop());
        t.get(closed);
        t.await(hub.start());
    }

    private static Optional<String> closedByServer(Run t, boolean allowReconnect, String text) throws Exception {
        var hub = t.connect();
        var closed = t.closing(hub);
        hub.send("CloseMe", allowReconnect, text);
        return t.get(closed);
    }

    private static void groupsEnd(Run t) throws Exception {
        var hub = t.connect();
        var witness = t.connect();
        var calls = t.calls(hub, "Grouped");
        t.call(hub, "Join", t.tag);
        t.call(witness, "ToGroup", t.tag, "Grouped", 1);
        t.until(() -> calls.size() == 1, "the call");
        restart(t, hub);
        t.call(witness, "ToGroup", t.tag, "Grouped", 2);
        t.alive(hub);
        Thread.sleep(100);
        t.equal(calls, List.of(json("1")), "calls");
    }
}
