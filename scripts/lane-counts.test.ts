import { describe, expect, it } from 'vitest';
import { countLane, parseVitestReport } from './lane-counts.ts';

describe("a lane's counts", () => {
  it('are read from its last line', () => {
    expect(countLane(0, 'noise\n12 passed, 0 failed\n')).toEqual({ passed: 12, failed: 0, skipped: 0 });
    expect(countLane(1, '3 passed, 2 failed, 1 skipped')).toEqual({ passed: 3, failed: 2, skipped: 1 });
  });

  it('hold a failure when the lane ends badly without naming one', () => {
    expect(countLane(1, '3 passed, 0 failed')).toEqual({ passed: 3, failed: 1, skipped: 0 });
    expect(countLane(null, '3 passed, 0 failed')).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  it('hold a failure when the last line says nothing', () => {
    expect(countLane(0, '3 passed, 0 failed\nand then it crashed')).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countLane(0, '')).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('come from the report of vitest, with the names of what was skipped', () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 0,
      testResults: [
        {
          assertionResults: [
            { fullName: 'a works', status: 'passed' },
            { fullName: ' b waits', status: 'skipped' },
          ],
        },
      ],
    };
    expect(parseVitestReport(JSON.stringify(report))).toEqual({
      counts: { passed: 1, failed: 0, skipped: 1 },
      skippedNames: ['b waits'],
    });
    expect(parseVitestReport(undefined).counts.failed).toBe(1);
  });
});
