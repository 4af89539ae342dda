import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** Of some windows of one group: how many, of how many readings, and the sum of these above the first window's mean. */
record Total(int members, long readings, double shift, double above) {
    static final Total NOTHING = new Total(0, 0, 0, 0);

    static Total of(Row window) {
        return new Total(1, window.count(), window.mean(), 0);
    }

    Total plus(Total other) {
        if (members == 0) {
            return other;
        }
        double apart = other.readings * (other.shift - shift) + other.above;
        return new Total(members + other.members, readings + other.readings, shift, above + apart);
    }

    double mean() {
        return shift + above / readings;
    }

    /** Fixed-width fields, as of a series' state. */
    static final class Serde extends Serdes.WrapperSerde<Total> {
        private static final int BYTES = 28;

        Serde() {
            super(write(), read());
        }

        private static Serializer<Total> write() {
            return (topic, total) -> total == null ? null : ByteBuffer.allocate(BYTES).putInt(total.members)
                .putLong(total.readings).putDouble(total.shift).putDouble(total.above).array();
        }

        private static Deserializer<Total> read() {
            return (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                ByteBuffer data = ByteBuffer.wrap(bytes);
                return new Total(data.getInt(), data.getLong(), data.getDouble(), data.getDouble());
            };
        }
    }
}
