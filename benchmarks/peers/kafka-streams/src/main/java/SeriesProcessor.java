import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Applies each reading to the state of its series. */
final class SeriesProcessor implements Processor<String, byte[], String, Row> {
    static final long SIZE_MS = 2000;
    private static final double SIGMAS = 4;

    private final long latenessMs;
    private final Json json = new Json();
    private ProcessorContext<String, Row> context;
    private KeyValueStore<String, SeriesState> store;

    SeriesProcessor(long latenessMs) {
        this.latenessMs = latenessMs;
    }

    @Override
    public void init(ProcessorContext<String, Row> context) {
        this.context = context;
        store = context.getStateStore(Main.STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
        Json.Reading reading = json.read(record.value());
        SeriesState state = store.get(record.key());
        if (state == null) {
            state = new SeriesState();
        }
        long number = Math.floorDiv(reading.time(), SIZE_MS);
        if (reading.time() > state.newest) {
            state.newest = reading.time();
            close(state, Math.floorDiv(state.newest - latenessMs, SIZE_MS) - 1, record, reading.series());
        }
        if (number > state.closedThrough) {
            state.add(number, reading.value());
        }
        if (state.count >= 2 && Math.abs(reading.value() - state.mean) > SIGMAS * state.stddev) {
            context.forward(record.withValue(Row.anomaly(json.anomaly(reading, state))));
        }
        store.put(record.key(), state);
    }

    private void close(SeriesState state, long through, Record<String, byte[]> record, String series) {
        if (through <= state.closedThrough) {
            return;
        }
        state.closedThrough = through;
        while (!state.open.isEmpty() && state.open.firstKey() <= through) {
            var window = state.open.pollFirstEntry();
            state.judgeBy(window.getValue());
            long start = window.getKey() * SIZE_MS;
            Row row = new Row(json.window(series, start, state), true, state.count, state.mean);
            context.forward(record.withValue(row).withTimestamp(start));
        }
    }
}
