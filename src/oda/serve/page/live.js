// What is pushed: rows of the series that are watched, and incidents of all. The connection is made anew whenever it is
// lost; what was missed meanwhile is for the views to ask for, at "again".

const RETRY = [500, 1000, 2000, 4000, 8000];

export class Live extends EventTarget {
  constructor() {
    super();
    this.watched = [];
    this.failures = 0;
    this.socket = null;
    this.timer = null;
    this.isUp = false;
    addEventListener("online", () => this.now());
  }

  watch(names) {
    this.watched = names;
    this.send();
  }

  send() {
    if (this.isUp) this.socket.send(JSON.stringify({ watch: this.watched }));
  }

  // Try at once.
  now() {
    clearTimeout(this.timer);
    if (!this.socket) this.connect();
  }

  connect() {
    const url = new URL("/api/live", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(url));
    socket.onopen = () => {
      const again = this.failures > 0;
      this.failures = 0;
      this.isUp = true;
      this.send();
      this.tell("up");
      if (again) this.tell("again");
    };
    socket.onmessage = (event) => {
      const rows = JSON.parse(event.data);
      this.tell(rows.gap ? "again" : "rows", rows);
    };
    socket.onclose = () => {
      this.socket = null;
      this.isUp = false;
      this.failures += 1;
      const wait = RETRY[Math.min(this.failures, RETRY.length) - 1] * (0.75 + Math.random() / 2);
      this.tell("down", { until: Date.now() + wait });
      this.timer = setTimeout(() => this.connect(), wait);
    };
  }

  tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
