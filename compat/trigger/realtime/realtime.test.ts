import { describe, expect, it } from 'vitest';
import type { StreamChunk } from '../../../core/model/channel.ts';
import type { RunRecord } from '../../../core/model/query.ts';
import { NodeSql } from '../../../core/testing/node-sql.ts';
import { TestChannels } from '../../../core/testing/channels.ts';
import { labelOf } from '../names.ts';
import { eventStream, firstVersion, positionOfEvent, secondVersion } from './event-stream.ts';
import { tagsIn } from './label-shape.ts';
import { COLUMNS, rowOf, textArray } from './row.ts';
import { shapeResponse } from './shape.ts';

/** What a row is made of. */
const FIELDS: Partial<RunRecord> = {
  id: '01J0000000000000000000000A',
  alias: null,
  task: 'trigger/proj/hello',
  taskVersion: 1,
  status: 'completed',
  reason: null,
  createdAt: Date.UTC(2026, 0, 1),
  startedAt: Date.UTC(2026, 0, 1, 0, 0, 1),
  endedAt: Date.UTC(2026, 0, 1, 0, 0, 2),
  seq: 7,
  input: '{"json":{"a":1}}',
  output: 'done',
  error: null,
  outcomeMeta: JSON.stringify({ outputType: 'text/plain', durationMs: 12.6 }),
  cancelling: false,
  meta: JSON.stringify({ payloadType: 'application/super+json', test: true }),
  eventIds: [],
  labels: [labelOf.tag('a "b" \\c'), labelOf.tag('d,e'), labelOf.stream('numbers')],
  parent: null,
  scheduledAt: null,
};
const RECORD = FIELDS as RunRecord;

describe('a run as a row', () => {
  it('has every value as text, times without their zone', () => {
    const row = rowOf(RECORD, { step: 3 }, Date.UTC(2026, 0, 2), 0);
    expect(row).toMatchObject({
      friendlyId: 'run_01j0000000000000000000000a',
      taskIdentifier: 'hello',
      status: 'COMPLETED_SUCCESSFULLY',
      createdAt: '2026-01-01T00:00:00.000',
      updatedAt: '2026-01-02T00:00:00.000',
      completedAt: '2026-01-01T00:00:02.000',
      expiredAt: null,
      isTest: 't',
      usageDurationMs: '13',
      payload: '{"json":{"a":1}}',
      payloadType: 'application/super+json',
      output: 'done',
      outputType: 'text/plain',
      metadata: '{"step":3}',
      realtimeStreams: '{"numbers"}',
      error: null,
    });
    expect(Object.keys(row)).toEqual(Object.keys(COLUMNS));
  });

  it('carries tags of any characters', () => {
    const { runTags } = rowOf(RECORD, null, 0, 0);
    expect(runTags).toBe('{"a \\"b\\" \\\\c","d,e"}');
    expect(tagsIn(runTags ?? '')).toEqual(['a "b" \\c', 'd,e']);
    expect(tagsIn(textArray([]))).toEqual([]);
  });
});

describe('an answer of a shape', () => {
  it('leaves out columns in rows and schema, and says the position under both generations of names', async () => {
    const request = { handle: null, offset: null, isLive: false, skipped: new Set(['payload']) };
    const rows = [rowOf(RECORD, null, 0, 0)];
    const response = shapeResponse(request, { handle: 'h', offset: 7, rows, operation: 'insert' });
    const [insert, control] = (await response.json()) as [{ value: object; headers: object }, object];
    expect('payload' in insert.value).toBe(false);
    expect(insert.headers).toMatchObject({ operation: 'insert' });
    expect(control).toEqual({ headers: { control: 'up-to-date' } });
    expect(response.headers.get('electric-schema')).not.toContain('"payload"');
    expect(['electric-offset', 'electric-chunk-last-offset'].map((name) => response.headers.get(name))).toEqual([
      '7_0',
      '7_0',
    ]);
    expect(response.headers.has('electric-up-to-date')).toBe(true);
  });
});

describe('a stream as events', () => {
  const chunks: StreamChunk[] = [
    { seq: 4, atMs: 99, data: '{"a":1}' },
    { seq: 5, atMs: 100, data: 'two\nlines' },
  ];

  it('names positions so that a reader goes on behind them', () => {
    expect(firstVersion(chunks)).toBe('id: 99-4\ndata: {"a":1}\n\nid: 100-5\ndata: two\ndata: lines\n\n');
    expect(positionOfEvent('100-5')).toBe(5);
    expect(secondVersion(chunks)).toContain('"seq_num":3');
    expect(positionOfEvent('3')).toBe(4);
    expect([positionOfEvent(undefined), positionOfEvent('x'), positionOfEvent('1-')]).toEqual([null, null, null]);
  });

  it('ends when the run has, after what it wrote last', async () => {
    const channel = new TestChannels(() => new NodeSql()).of('default', 'run');
    await channel.append('s', { chunks: ['1', '2'] });
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const response = eventStream({
      channel,
      stream: 's',
      after: 1,
      timeoutSeconds: 60,
      version: 'v1',
      untilOver: () => ended,
      isEnding: () => false,
      frame: (some) => some.map(({ data }) => `${data};`).join(''),
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async (): Promise<string | null> => {
      const { value } = await reader.read();
      return value === undefined ? null : new TextDecoder().decode(value);
    };
    expect(await next()).toBe('2;');
    await channel.append('s', { chunks: ['3'] });
    end();
    let text = '';
    for (let part = await next(); part !== null; part = await next()) text += part;
    expect(text.replaceAll(': \n\n', '')).toBe('3;');
  });

  it('breaks off when the server ends, so that its reader comes again', async () => {
    const channel = new TestChannels(() => new NodeSql()).of('default', 'run');
    await channel.append('s', { chunks: ['1'] });
    const response = eventStream({
      channel,
      stream: 's',
      after: 0,
      timeoutSeconds: 60,
      version: 'v1',
      untilOver: async () => {},
      isEnding: () => true,
      frame: (some) => some.map(({ data }) => `${data};`).join(''),
    });
    await expect(response.text()).rejects.toThrow('the server is ending');
  });
});
