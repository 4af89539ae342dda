import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Readings from JSON, rows to JSON. */
final class Json {
    record Reading(String series, long time, double value) {}

    private interface Fields {
        void write(JsonGenerator out) throws IOException;
    }

    private static final JsonFactory FACTORY = new JsonFactory();

    Reading read(byte[] message) {
        String series = null;
        long time = 0;
        double value = 0;
        try (var parser = FACTORY.createParser(message)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "series" -> series = parser.getText();
                    case "time" -> time = parser.getLongValue();
                    case "value" -> value = parser.getDoubleValue();
                    default -> parser.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new Reading(series, time, value);
    }

    byte[] window(String series, long start, SeriesState state) {
        return row(series, state, out -> {
            out.writeNumberField("start", start);
            out.writeNumberField("count", state.count);
        });
    }

    byte[] anomaly(Reading reading, SeriesState state) {
        return row(reading.series(), state, out -> {
            out.writeNumberField("time", reading.time());
            out.writeNumberField("value", reading.value());
        });
    }

    static byte[] group(String group, long start, Total total) {
        return object(group, out -> {
            out.writeNumberField("start", start);
            out.writeNumberField("members", total.members());
            out.writeNumberField("mean", total.mean());
        });
    }

    private static byte[] row(String series, SeriesState state, Fields fields) {
        return object(series, out -> {
            fields.write(out);
            out.writeNumberField("mean", state.mean);
            out.writeNumberField("stddev", state.stddev);
        });
    }

    private static byte[] object(String series, Fields fields) {
        var bytes = new ByteArrayOutputStream(128);
        try (JsonGenerator out = FACTORY.createGenerator(bytes)) {
            out.writeStartObject();
            out.writeStringField("series", series);
            fields.write(out);
            out.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }
}
