package dev.hubwire.interop;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Who cannot do what, and why: {@code tests/interop/peers.json}. */
final class Peers {
    private final JsonObject file;

    Peers() {
        try (var stream = Peers.class.getResourceAsStream("/peers.json");
                var reader = new InputStreamReader(stream, StandardCharsets.UTF_8)) {
            file = JsonParser.parseReader(reader).getAsJsonObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    Set<String> servers() {
        return file.getAsJsonObject("servers").keySet();
    }

    /**
     * The reason why a scenario with these needs cannot run. A need that begins with a protocol's name counts only there; what
     * is lacking on one transport only is keyed by the transport and the scenario.
     */
    Optional<String> cannot(String server, String protocol, String transport, String scenario, List<String> needs) {
        var lacks = List.of(
                file.getAsJsonObject("servers").getAsJsonObject(server),
                file.getAsJsonObject("clients").getAsJsonObject("java").getAsJsonObject("lacks"));
        return Stream.concat(Stream.of(transport + " " + scenario), needs.stream())
                .filter(need -> !need.startsWith("messagepack-") || protocol.equals("messagepack"))
                .flatMap(need -> lacks.stream().filter(lack -> lack.has(need)).map(lack -> lack.get(need).getAsString()))
                .findFirst();
    }
}
