// Firebase's emulator of Cloud Tasks, on a port of the loopback, until the process is ended.

const { TasksEmulator } = require('firebase-tools/lib/emulator/tasksEmulator.js');

const port = Number(process.argv[2]);
new TasksEmulator({ host: '127.0.0.1', port }).start();
process.on('SIGTERM', () => process.exit(0));
