/** `YYYYMMDD.N`: the day, and a number within it (trigger.dev: calculateNextBuildVersion). */
export function versionAfter(latest: string | null, nowMs: number): string {
  const day = new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '');
  const [lastDay, lastNumber] = latest?.split('.') ?? [];
  // A clock that went back must not make an older version the newest.
  if (lastDay !== undefined && lastDay >= day) return `${lastDay}.${Number(lastNumber) + 1}`;
  return `${day}.1`;
}

/** `worker_<day>x<n>x<digest>`: carries its version, so that a worker's requests need no look-up. */
export function workerIdOf(version: string, digest: string): string {
  return `worker_${version.replace('.', 'x')}x${digest.slice(0, 12)}`;
}

export function versionOfWorker(workerId: string): string | null {
  const match = /^worker_(\d{8})x(\d+)x[0-9a-f]{12}$/.exec(workerId);
  return match ? `${match[1]}.${match[2]}` : null;
}
