/**
 * The part of the dev server's schema that people's tests and tools ask for (inngest/inngest: pkg/coreapi/gql.*.graphql): names and
 * nullability are the vendor's, what is not here is answered by GraphQL's own "Cannot query field".
 */
export const SCHEMA = /* GraphQL */ `
  scalar Time
  scalar ULID
  scalar UUID
  scalar Bytes
  scalar Map
  scalar Uint
  scalar Int64

  type Query {
    apps(filter: AppsFilterV1): [App!]!
    app(id: UUID!): App
    functions: [Function!]
    functionBySlug(query: FunctionQuery!): Function
    functionRun(query: FunctionRunQuery!): FunctionRun
    run(runID: String!): FunctionRunV2
    runs(
      first: Int! = 40
      after: String
      orderBy: [RunsV2OrderBy!]
      filter: RunsFilterV2
      preview: Boolean
    ): RunsV2Connection!
    runTraceSpanOutputByID(outputID: String!): RunTraceSpanOutput!
    runTrigger(runID: String!): RunTraceTrigger!
    runTrace(runID: String!): RunTraceSpan!
    event(query: EventQuery!): Event
    events(query: EventsQuery!): [Event!]
    eventV2(id: ULID!): EventV2!
    eventsV2(first: Int! = 50, after: String, filter: EventsFilter!): EventsConnection!
    stream(query: StreamQuery!): [StreamItem!]!
    workerConnections(
      first: Int! = 100
      after: String
      orderBy: [ConnectV1WorkerConnectionsOrderBy!]!
      filter: ConnectV1WorkerConnectionsFilter!
    ): ConnectV1WorkerConnectionsConnection!
    workerConnection(connectionId: ULID!): ConnectV1WorkerConnection
  }

  type Mutation {
    createApp(input: CreateAppInput!): App!
    deleteApp(id: UUID!): UUID!
    deleteAppByName(name: String!): Boolean!
    invokeFunction(data: Map, functionSlug: String!, user: Map): Boolean
    cancelRun(runID: ULID!): FunctionRun!
    rerun(runID: ULID!, fromStep: RerunFromStepInput): ULID!
  }

  input AppsFilterV1 {
    method: AppMethod
  }
  input FunctionQuery {
    workspaceId: ID! = "local"
    functionSlug: String!
  }
  input FunctionRunQuery {
    workspaceId: ID! = "local"
    functionRunId: String!
  }
  input EventQuery {
    workspaceId: ID! = "local"
    eventId: ID!
  }
  input EventsQuery {
    workspaceId: ID! = "local"
    lastEventId: ID
  }
  input StreamQuery {
    after: ID
    before: ID
    limit: Int! = 20
    includeInternalEvents: Boolean
  }
  input CreateAppInput {
    url: String!
  }
  input RerunFromStepInput {
    stepID: String!
    input: Bytes
  }
  input EventsFilter {
    eventNames: [String!]
    from: Time!
    includeInternalEvents: Boolean = false
    query: String
    until: Time
  }
  input RunsFilterV2 {
    from: Time
    until: Time
    timeField: RunsV2OrderByField = QUEUED_AT
    status: [FunctionRunStatus!]
    functionIDs: [UUID!]
    appIDs: [UUID!]
    isDeferred: Boolean
    query: String
  }
  input RunsV2OrderBy {
    field: RunsV2OrderByField!
    direction: RunsOrderByDirection!
  }
  enum RunsV2OrderByField {
    QUEUED_AT
    STARTED_AT
    ENDED_AT
  }
  enum RunsOrderByDirection {
    ASC
    DESC
  }
  enum FunctionRunStatus {
    COMPLETED
    FAILED
    CANCELLED
    RUNNING
    QUEUED
    SKIPPED
  }
  enum RunTraceSpanStatus {
    FAILED
    QUEUED
    RUNNING
    COMPLETED
    WAITING
    CANCELLED
    SKIPPED
  }
  enum StepOp {
    INVOKE
    RUN
    SLEEP
    WAIT_FOR_EVENT
    AI_GATEWAY
    WAIT_FOR_SIGNAL
  }
  enum EventStatus {
    RUNNING
    COMPLETED
    PAUSED
    FAILED
    PARTIALLY_FAILED
    NO_FUNCTIONS
  }
  enum FunctionTriggerTypes {
    EVENT
    CRON
  }
  enum StreamType {
    EVENT
    CRON
  }
  enum AppMethod {
    SERVE
    CONNECT
    API
  }

  enum ConnectV1ConnectionStatus {
    CONNECTED
    READY
    DRAINING
    DISCONNECTING
    DISCONNECTED
  }
  input ConnectV1WorkerConnectionsFilter {
    from: Time
    until: Time
    timeField: ConnectV1WorkerConnectionsOrderByField = CONNECTED_AT
    status: [ConnectV1ConnectionStatus!]
    appIDs: [UUID!]
  }
  input ConnectV1WorkerConnectionsOrderBy {
    field: ConnectV1WorkerConnectionsOrderByField!
    direction: ConnectV1WorkerConnectionsOrderByDirection!
  }
  enum ConnectV1WorkerConnectionsOrderByField {
    CONNECTED_AT
    LAST_HEARTBEAT_AT
    DISCONNECTED_AT
  }
  enum ConnectV1WorkerConnectionsOrderByDirection {
    ASC
    DESC
  }
  type ConnectV1WorkerConnection {
    id: ULID!
    gatewayId: ULID!
    instanceId: String!
    workerIp: String!
    maxWorkerConcurrency: Int64!
    appName: String
    appID: UUID
    app: App
    connectedAt: Time!
    lastHeartbeatAt: Time
    disconnectedAt: Time
    disconnectReason: String
    status: ConnectV1ConnectionStatus!
    groupHash: String!
    sdkLang: String!
    sdkVersion: String!
    sdkPlatform: String!
    syncId: UUID
    buildId: String
    appVersion: String
    functionCount: Int!
    cpuCores: Int!
    memBytes: Int64!
    os: String!
  }
  type ConnectV1WorkerConnectionsConnection {
    edges: [ConnectV1WorkerConnectionEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
  }
  type ConnectV1WorkerConnectionEdge {
    node: ConnectV1WorkerConnection!
    cursor: String!
  }

  type PageInfo {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }

  type App {
    id: ID!
    externalID: String!
    name: String!
    sdkLanguage: String!
    sdkVersion: String!
    framework: String
    url: String
    checksum: String
    error: String
    functions: [Function!]!
    method: AppMethod!
    appVersion: String
    connected: Boolean!
    functionCount: Int!
    autodiscovered: Boolean!
  }

  type Function {
    id: String!
    name: String!
    slug: String!
    config: String!
    concurrency: Int!
    triggers: [FunctionTrigger!]
    url: String!
    appID: String!
    app: App!
  }
  type FunctionTrigger {
    type: FunctionTriggerTypes!
    value: String!
    condition: String
  }

  type FunctionRun {
    id: ID!
    functionID: String!
    function: Function
    event: Event
    events: [Event!]!
    batchID: ULID
    batchCreatedAt: Time
    status: FunctionRunStatus
    startedAt: Time
    finishedAt: Time
    output: String
    eventID: ID!
    cron: String
  }

  type FunctionRunV2 {
    id: ULID!
    appID: UUID!
    app: App!
    functionID: UUID!
    function: Function!
    traceID: String!
    queuedAt: Time!
    startedAt: Time
    endedAt: Time
    status: FunctionRunStatus!
    sourceID: String
    triggerIDs: [ULID!]!
    eventName: String
    isBatch: Boolean!
    batchCreatedAt: Time
    cronSchedule: String
    output: Bytes
    trace(preview: Boolean): RunTraceSpan
    hasAI: Boolean!
    isDeferred: Boolean!
  }
  type RunsV2Connection {
    edges: [FunctionRunV2Edge!]!
    pageInfo: PageInfo!
    totalCount(preview: Boolean): Int!
  }
  type FunctionRunV2Edge {
    node: FunctionRunV2!
    cursor: String!
  }

  union StepInfo = InvokeStepInfo | SleepStepInfo | WaitForEventStepInfo | RunStepInfo | WaitForSignalStepInfo
  type InvokeStepInfo {
    triggeringEventID: ULID!
    functionID: String!
    timeout: Time!
    returnEventID: ULID
    runID: ULID
    timedOut: Boolean
  }
  type SleepStepInfo {
    sleepUntil: Time!
  }
  type WaitForEventStepInfo {
    eventName: String!
    expression: String
    timeout: Time!
    foundEventID: ULID
    timedOut: Boolean
  }
  type RunStepInfo {
    type: String
  }
  type WaitForSignalStepInfo {
    signal: String!
    timeout: Time!
    timedOut: Boolean
  }

  type RunTraceSpan {
    appID: UUID!
    functionID: UUID!
    runID: ULID!
    run: FunctionRun!
    spanID: String!
    traceID: String!
    name: String!
    status: RunTraceSpanStatus!
    attempts: Int
    duration: Int
    outputID: String
    queuedAt: Time!
    scheduledAt: Time
    startedAt: Time
    endedAt: Time
    childrenSpans: [RunTraceSpan!]!
    stepOp: StepOp
    stepID: String
    stepInfo: StepInfo
    stepType: String!
    isRoot: Boolean!
    parentSpanID: String
    isUserland: Boolean!
    groupID: String
    debugPaused: Boolean!
    skipReason: String
    skipExistingRunID: String
    metadata: [SpanMetadata!]!
  }
  type SpanMetadata {
    scope: String!
    kind: String!
    values: Map!
    updatedAt: Time!
  }
  type RunTraceSpanOutput {
    input: Bytes
    data: Bytes
    error: StepError
  }
  type StepError {
    message: String!
    name: String
    stack: String
    cause: Map
  }
  type RunTraceTrigger {
    eventName: String
    IDs: [ULID!]!
    payloads: [Bytes!]!
    timestamp: Time!
    isBatch: Boolean!
    batchID: ULID
    cron: String
  }

  type Event {
    id: ULID!
    externalID: String
    name: String
    createdAt: Time
    payload: String
    status: EventStatus
    pendingRuns: Int
    totalRuns: Int
    raw: String
    functionRuns: [FunctionRun!]
  }
  type EventV2 {
    id: ULID!
    externalID: String
    idempotencyKey: String
    name: String!
    occurredAt: Time!
    receivedAt: Time!
    raw: String!
    envID: UUID!
    source: EventSource
    runs: [FunctionRunV2!]!
    version: String
  }
  type EventSource {
    id: ID!
    name: String
    sourceKind: String!
  }
  type EventsConnection {
    edges: [EventsEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
  }
  type EventsEdge {
    node: EventV2!
    cursor: String!
  }
  type StreamItem {
    id: ID!
    trigger: String!
    type: StreamType!
    createdAt: Time!
    runs: [FunctionRun]
    inBatch: Boolean!
  }
`;
