import type { Command } from '../model/command.ts';
import type { SqlRow } from '../ports.ts';
import type { Kernel } from './kernel.ts';

/** Messages of one hand-over, and so of one transaction at the destination. */
const BATCH = 100;

/** Commands for another cell, as they travel: at least once, in order, applied once. */
export interface MailBatch {
  source: string;
  /** Changes when the source's data is made anew, so that its numbers may start again. */
  epoch: string;
  messages: Array<{ seq: number; commands: Command[] }>;
}

/** Keeps commands for another cell with this transaction; they leave after the commit and stay until acknowledged. */
export function post(k: Kernel, destination: string, commands: Command[]): void {
  const sent = Number(k.meta.get(`outbox:${destination}`) ?? 0) + 1;
  k.meta.set(`outbox:${destination}`, String(sent));
  k.sql.run(
    `INSERT INTO outbox (destination, seq, body) VALUES (?, ?, ?)`,
    destination,
    sent,
    JSON.stringify(commands),
  );
  k.mailFor.add(destination);
}

/** The oldest messages for a destination that are not acknowledged, or null. */
export function outgoing(k: Kernel, destination: string): MailBatch | null {
  const rows = k.sql.all<SqlRow & { seq: number; body: string }>(
    `SELECT seq, body FROM outbox WHERE destination = ? ORDER BY seq LIMIT ?`,
    destination,
    BATCH,
  );
  if (rows.length === 0) return null;
  const messages = rows.map((row) => ({ seq: row.seq, commands: JSON.parse(row.body) as Command[] }));
  return { source: k.address, epoch: epochOf(k), messages };
}

export function destinations(k: Kernel): string[] {
  return k.sql.all<{ destination: string }>(`SELECT DISTINCT destination FROM outbox`).map((row) => row.destination);
}

export function acknowledged(k: Kernel, destination: string, seq: number): void {
  k.sql.run(`DELETE FROM outbox WHERE destination = ? AND seq <= ?`, destination, seq);
}

/**
 * The messages of a batch that were not taken before, in order; a gap ends the batch, its sender comes again from the number answered.
 * Marks them as taken: the caller applies them in the same transaction.
 */
export function incoming(k: Kernel, batch: MailBatch): { commands: Command[]; seq: number } {
  const known = k.sql.all<{ epoch: string; seq: number }>(
    `SELECT epoch, seq FROM inbox WHERE source = ?`,
    batch.source,
  )[0];
  let seq = known?.epoch === batch.epoch ? known.seq : 0;
  const before = seq;
  const commands: Command[] = [];
  for (const message of batch.messages) {
    if (message.seq <= seq) continue;
    if (message.seq !== seq + 1) break;
    commands.push(...message.commands);
    seq = message.seq;
  }
  if (seq !== before)
    k.sql.run(`INSERT OR REPLACE INTO inbox (source, epoch, seq) VALUES (?, ?, ?)`, batch.source, batch.epoch, seq);
  return { commands, seq };
}

function epochOf(k: Kernel): string {
  let epoch = k.meta.get('mail-epoch');
  if (epoch === null) k.meta.set('mail-epoch', (epoch = k.ids.next(k.now)));
  return epoch;
}
