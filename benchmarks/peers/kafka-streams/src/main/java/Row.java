/** A window or an anomaly, as it is written; of a window what its group needs besides. Its record's time is its start. */
record Row(byte[] json, boolean isWindow, int count, double mean) {
    static Row anomaly(byte[] json) {
        return new Row(json, false, 0, 0);
    }
}
