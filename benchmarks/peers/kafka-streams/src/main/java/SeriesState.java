import java.nio.ByteBuffer;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** One series: its open windows, and the newest closed one. */
final class SeriesState {
    long newest = -1;
    long closedThrough = -1;
    double mean;
    double stddev;
    int count;
    final TreeMap<Long, Window> open = new TreeMap<>();

    /** Sums of what is above the window's first value. */
    static final class Window {
        final double shift;
        int count;
        double total;
        double squares;

        Window(double shift) {
            this.shift = shift;
        }
    }

    void add(long number, double value) {
        Window window = open.computeIfAbsent(number, missing -> new Window(value));
        double above = value - window.shift;
        window.count += 1;
        window.total += above;
        window.squares += above * above;
    }

    void judgeBy(Window window) {
        count = window.count;
        mean = window.shift + window.total / count;
        stddev = Math.sqrt(Math.max(0, (window.squares - window.total * window.total / count) / count));
    }

    /** Fixed-width fields, since a state is read and written once for each reading. */
    static final class Serde extends Serdes.WrapperSerde<SeriesState> {
        private static final int HEAD = 36;
        private static final int WINDOW = 36;

        Serde() {
            super(write(), read());
        }

        private static Serializer<SeriesState> write() {
            return (topic, state) -> {
                if (state == null) {
                    return null;
                }
                ByteBuffer data = ByteBuffer.allocate(HEAD + WINDOW * state.open.size());
                data.putLong(state.newest).putLong(state.closedThrough);
                data.putDouble(state.mean).putDouble(state.stddev).putInt(state.count);
                state.open.forEach((number, window) -> data.putLong(number).putDouble(window.shift)
                    .putInt(window.count).putDouble(window.total).putDouble(window.squares));
                return data.array();
            };
        }

        private static Deserializer<SeriesState> read() {
            return (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                ByteBuffer data = ByteBuffer.wrap(bytes);
                SeriesState state = new SeriesState();
                state.newest = data.getLong();
                state.closedThrough = data.getLong();
                state.mean = data.getDouble();
                state.stddev = data.getDouble();
                state.count = data.getInt();
                while (data.hasRemaining()) {
                    long number = data.getLong();
                    Window window = new Window(data.getDouble());
                    window.count = data.getInt();
                    window.total = data.getDouble();
                    window.squares = data.getDouble();
                    state.open.put(number, window);
                }
                return state;
            };
        }
    }
}
