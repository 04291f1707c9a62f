export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const COUNT_LINE = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/**
 * Reads a lane's counts from its last line. A lane that ends badly, or says nothing we can read, has at least one failure.
 * @param code exit code; null when it was killed
 */
export function countLane(code: number | null, output: string): Counts {
  const lastLine = output.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const match = COUNT_LINE.exec(lastLine);
  const counts = match
    ? { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0) }
    : { passed: 0, failed: 1, skipped: 0 };
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { assertionResults: { fullName: string; status: string; meta?: unknown }[] }[];
}

/** Reads the report of vitest's JSON reporter; a missing one is one failure. */
export function parseVitestReport(text: string | undefined): { counts: Counts; skippedNames: string[] } {
  if (text === undefined) return { counts: { passed: 0, failed: 1, skipped: 0 }, skippedNames: [] };
  const report = JSON.parse(text) as VitestReport;
  const skippedNames = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status !== 'passed' && status !== 'failed')
    .map(({ fullName }) => fullName.trim());
  return {
    counts: { passed: report.numPassedTests, failed: report.numFailedTests, skipped: skippedNames.length },
    skippedNames,
  };
}
