/** What `trigger dev` registers of its tasks (CreateBackgroundWorkerRequestBody), for workers that speak the wire without the vendor's CLI. */
export function registration(tasks: string[], contentHash: string, retry?: object): unknown {
  return {
    localOnly: true,
    engine: 'V2',
    supportsLazyAttempts: true,
    metadata: {
      packageVersion: '4.8.3',
      cliPackageVersion: '4.8.3',
      contentHash,
      runtime: 'node',
      runtimeVersion: process.versions.node,
      sourceFiles: [],
      queues: [],
      tasks: tasks.map((id) => ({ id, filePath: 'src/tasks.ts', exportName: id, entryPoint: 'src/tasks.ts', retry })),
    },
  };
}
