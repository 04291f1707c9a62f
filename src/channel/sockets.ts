import type { ChannelSocket, Sql } from '../../core/ports.ts';

/** With `data` below the platform's bound on what an object notes at a socket, 16 KiB. */
const MAX_STATE_CHARS = 4_000;
export const MAX_DATA_CHARS = 8_000;
/** Topics of one socket. */
const MAX_TOPICS = 2_000;

interface Note {
  id: string;
  protocol: string;
  data: string;
  state: string;
}

/** One subscriber: what is noted at the socket survives hibernation, the topics are rows. */
export class OpenSocket implements ChannelSocket {
  readonly socket: WebSocket;
  readonly #note: Note;
  readonly #sockets: Sockets;

  constructor(socket: WebSocket, note: Note, sockets: Sockets) {
    this.socket = socket;
    this.#note = note;
    this.#sockets = sockets;
  }

  get id(): string {
    return this.#note.id;
  }

  get protocol(): string {
    return this.#note.protocol;
  }

  get data(): string {
    return this.#note.data;
  }

  get state(): string {
    return this.#note.state;
  }

  set state(state: string) {
    if (state.length > MAX_STATE_CHARS)
      throw new RangeError(`a socket's state has at most ${MAX_STATE_CHARS} characters`);
    this.#note.state = state;
    this.socket.serializeAttachment(this.#note);
  }

  send(frame: string | Uint8Array): void {
    try {
      this.socket.send(frame);
    } catch {
      // Closed in the meantime; its close event ends the rest.
    }
  }

  close(code = 1000, reason?: string): void {
    try {
      this.socket.close(code, reason);
    } catch {
      // Closed already.
    }
    this.#sockets.drop(this);
  }

  topics(): string[] {
    return [...this.#sockets.topicsOf(this)];
  }

  follow(topics: string[]): void {
    this.#sockets.follow(this, topics);
  }

  unfollow(topics: string[]): void {
    this.#sockets.unfollow(this, topics);
  }
}

/** The open sockets of a channel and what they follow. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #sql: Sql;
  readonly #onFollow: (topics: string[]) => void;
  readonly #open = new Map<WebSocket, OpenSocket>();
  readonly #byTopic = new Map<string, Set<OpenSocket>>();
  readonly #topics = new Map<OpenSocket, Set<string>>();

  constructor(ctx: DurableObjectState, sql: Sql, onFollow: (topics: string[]) => void) {
    this.#ctx = ctx;
    this.#sql = sql;
    this.#onFollow = onFollow;
    sql.run(
      `CREATE TABLE IF NOT EXISTS follows (socket TEXT NOT NULL, topic TEXT NOT NULL, PRIMARY KEY (socket, topic)) WITHOUT ROWID`,
    );
    this.#restore();
  }

  /** After a hibernation the sockets are still there; after the loss of the process only their rows are. */
  #restore(): void {
    const byId = new Map<string, OpenSocket>();
    for (const socket of this.#ctx.getWebSockets()) {
      const note = socket.deserializeAttachment() as Note | null;
      if (note) byId.set(note.id, this.#add(socket, note));
    }
    let strays = false;
    for (const { socket, topic } of this.#sql.all<{ socket: string; topic: string }>(
      `SELECT socket, topic FROM follows`,
    )) {
      const open = byId.get(socket);
      if (open) this.#index(open, topic);
      else strays = true;
    }
    if (strays && byId.size === 0) this.#sql.run(`DELETE FROM follows`);
    else if (strays)
      for (const { socket } of this.#sql.all<{ socket: string }>(`SELECT DISTINCT socket FROM follows`))
        if (!byId.has(socket)) this.#sql.run(`DELETE FROM follows WHERE socket = ?`, socket);
  }

  accept(socket: WebSocket, protocol: string, data: string): OpenSocket {
    this.#ctx.acceptWebSocket(socket);
    const note = { id: crypto.randomUUID(), protocol, data, state: '' };
    socket.serializeAttachment(note);
    return this.#add(socket, note);
  }

  #add(socket: WebSocket, note: Note): OpenSocket {
    const open = new OpenSocket(socket, note, this);
    this.#open.set(socket, open);
    this.#topics.set(open, new Set());
    return open;
  }

  of(socket: WebSocket): OpenSocket | undefined {
    return this.#open.get(socket);
  }

  ofProtocol(protocol: string): OpenSocket[] {
    return [...this.#open.values()].filter((open) => open.protocol === protocol);
  }

  all(): OpenSocket[] {
    return [...this.#open.values()];
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  protocols(): Set<string> {
    return new Set([...this.#open.values()].map((open) => open.protocol));
  }

  following(topic: string): OpenSocket[] {
    return [...(this.#byTopic.get(topic) ?? [])];
  }

  has(topic: string): boolean {
    return this.#byTopic.has(topic);
  }

  topics(): Iterable<string> {
    return this.#byTopic.keys();
  }

  topicsOf(open: OpenSocket): Iterable<string> {
    return this.#topics.get(open) ?? [];
  }

  follow(open: OpenSocket, topics: string[]): void {
    const known = this.#topics.get(open);
    if (!known) return;
    const fresh = [...new Set(topics)].filter((topic) => !known.has(topic)).slice(0, MAX_TOPICS - known.size);
    for (const topic of fresh) {
      this.#sql.run(`INSERT OR IGNORE INTO follows (socket, topic) VALUES (?, ?)`, open.id, topic);
      this.#index(open, topic);
    }
    if (fresh.length > 0) this.#onFollow(fresh);
  }

  unfollow(open: OpenSocket, topics: string[]): void {
    for (const topic of topics) {
      if (!this.#topics.get(open)?.delete(topic)) continue;
      this.#sql.run(`DELETE FROM follows WHERE socket = ? AND topic = ?`, open.id, topic);
      this.#unindex(open, topic);
    }
  }

  drop(open: OpenSocket): void {
    if (!this.#open.delete(open.socket)) return;
    const topics = this.#topics.get(open) ?? new Set();
    this.#topics.delete(open);
    for (const topic of topics) this.#unindex(open, topic);
    if (topics.size > 0) this.#sql.run(`DELETE FROM follows WHERE socket = ?`, open.id);
  }

  #index(open: OpenSocket, topic: string): void {
    this.#topics.get(open)?.add(topic);
    const set = this.#byTopic.get(topic);
    if (set) set.add(open);
    else this.#byTopic.set(topic, new Set([open]));
  }

  #unindex(open: OpenSocket, topic: string): void {
    const set = this.#byTopic.get(topic);
    set?.delete(open);
    if (set?.size === 0) this.#byTopic.delete(topic);
  }
}
