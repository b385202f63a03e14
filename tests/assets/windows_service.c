/* A stand-in for the agent on Windows: a service that starts its worker and waits to be stopped. */
#include <windows.h>
#include <string.h>

static SERVICE_STATUS_HANDLE handle;
static HANDLE stopped;

static void tell(DWORD state)
{
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, SERVICE_ACCEPT_STOP, 0, 0, 0, 0};
    SetServiceStatus(handle, &status);
}

static void WINAPI control(DWORD code)
{
    if (code == SERVICE_CONTROL_STOP)
        SetEvent(stopped);
}

static void WINAPI serve(DWORD count, LPSTR *names)
{
    char path[MAX_PATH];
    STARTUPINFOA start = {sizeof start};
    PROCESS_INFORMATION worker;
    handle = RegisterServiceCtrlHandlerA("AmazonSSMAgent", control);
    stopped = CreateEventA(NULL, TRUE, FALSE, NULL);
    GetModuleFileNameA(NULL, path, sizeof path);
    strcpy(strrchr(path, '\\') + 1, "ssm-agent-worker.exe");
    BOOL started = CreateProcessA(path, NULL, NULL, NULL, FALSE, 0, NULL, NULL, &start, &worker);
    tell(SERVICE_RUNNING);
    WaitForSingleObject(stopped, 600000);
    if (started)
        TerminateProcess(worker.hProcess, 0);
    tell(SERVICE_STOPPED);
}

int main(void)
{
    SERVICE_TABLE_ENTRYA table[] = {{"AmazonSSMAgent", serve}, {NULL, NULL}};
    if (!StartServiceCtrlDispatcherA(table))
        Sleep(600000); /* this is the worker */
    return 0;
}
