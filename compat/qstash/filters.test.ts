import { describe, expect, test } from 'vitest';
import { parseFilter, type Subject } from './filters.ts';
import type { RunMeta } from './meta.ts';

const meta: RunMeta = {
  url: 'https://a.test:8443/x/y?z=1',
  method: 'POST',
  headers: [],
  retries: 3,
  labels: ['one', 'two'],
  queue: 'q',
  callerIp: '1.2.3.4',
};
const subject: Subject = { run: { id: '01M83MG21X007B2M5KH51V1GT4', createdAt: 1_000 }, meta };

function matches(query: string, changes: Partial<Subject> = {}): boolean {
  return parseFilter(new URLSearchParams(query), { strict: true, maxCount: 100 }).matches({ ...subject, ...changes });
}

describe('filters', () => {
  test.each([
    ['', true],
    ['label=two', true],
    ['label=three', false],
    ['label=three&label=one', true],
    ['label=three,one', true],
    ['label=one&queueName=other', false],
    ['queueName=q&callerIp=1.2.3.4', true],
    ['host=a.test:8443&path=/x/y', true],
    ['url=https://a.test:8443/x/y?z=1', true],
    ['messageId=msg_01M83MG21X007B2M5KH51V1GT4', true],
    ['scheduleId=s', false],
    ['fromDate=1000&toDate=1000', true],
    ['fromDate=1001', false],
    ['workflowUrl=https://a.test', true],
    ['workflowUrl=https://a.test&workflowUrlExactMatch=true', false],
    ['workflowUrl=https://b.test&workflowUrl=https://a.test', true],
    ['workflowUrl=https://b.test&workflowUrl=https://c.test', false],
    ['workflowUrl=https://b.test&workflowUrl=https://a.test:8443/x/y?z=1&workflowUrlExactMatch=true', true],
    ['workflowRuns=wfr_1@1000', false],
  ])('%s', (query, expected) => {
    expect(matches(query)).toBe(expected);
  });

  test('states know both spellings of cancelled, and IN_PROGRESS', () => {
    expect(matches('state=CANCELLED', { state: 'CANCELED' })).toBe(true);
    expect(matches('state=IN_PROGRESS', { state: 'RETRY' })).toBe(true);
    expect(matches('state=IN_PROGRESS', { state: 'CREATED' })).toBe(false);
  });

  test('an unknown name is refused where something would be deleted, and ignored in a list', () => {
    expect(() => matches('labeel=one')).toThrow(/labeel/);
    const filter = parseFilter(new URLSearchParams('labeel=one'), { strict: false, maxCount: 1 });
    expect(filter.matches(subject)).toBe(true);
  });

  test.each(['count=0', 'count=x', 'fromDate=yesterday'])('%s is refused', (query) => {
    expect(() => matches(query)).toThrow(expect.objectContaining({ status: 400 }));
  });

  test('a count above the limit is the limit', () => {
    expect(parseFilter(new URLSearchParams('count=5000'), { strict: true, maxCount: 100 }).count).toBe(100);
  });
});

test('runs are named by id and time of creation, for several may have had one id', () => {
  const changes = { meta: { ...meta, workflow: { runId: 'wfr_1' } } };
  expect(matches('workflowRuns=wfr_1@1000,wfr_2@5', changes)).toBe(true);
  expect(matches('workflowRuns=wfr_1@1001', changes)).toBe(false);
});
