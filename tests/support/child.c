#include "support/child.h"

#include "support/check.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

void child_begin(struct child *child, void (*run)(struct child *parent, void *arg), void *arg)
{
    int down[2], up[2];
    must(pipe(down) == 0 && pipe(up) == 0, "no pipe");
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0, "cannot fork");
    if (pid == 0) {
        struct child parent = { getppid(), down[0], up[1] };
        close(down[1]);
        close(up[0]);
        run(&parent, arg);
        fflush(NULL);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    *child = (struct child){ pid, up[0], down[1] };
}

void child_say(const struct child *child, char what)
{
    must(write(child->out, &what, 1) == 1, "cannot say '%c'", what);
}

char child_hear(const struct child *child)
{
    char heard;
    struct pollfd line = { .fd = child->in, .events = POLLIN };
    must(poll(&line, 1, PATIENCE_MS) == 1, "the other process says nothing");
    must(read(child->in, &heard, 1) == 1, "the other process has ended");
    return heard;
}

bool child_has_said(const struct child *child)
{
    struct pollfd line = { .fd = child->in, .events = POLLIN };
    return poll(&line, 1, 0) == 1;
}

static int wait_for(struct child *child)
{
    int status;
    must(waitpid(child->pid, &status, 0) == child->pid, "cannot wait for %d", (int)child->pid);
    close(child->in);
    close(child->out);
    return status;
}

void child_end(struct child *child)
{
    int status = wait_for(child);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child failed: %#x", (unsigned)status);
}

void child_kill(struct child *child)
{
    must(kill(child->pid, SIGKILL) == 0, "cannot kill %d", (int)child->pid);
    int status = wait_for(child);
    must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %#x",
         (unsigned)status);
}

void child_run(void (*run)(struct child *parent, void *arg), void *arg)
{
    struct child child;
    child_begin(&child, run, arg);
    child_end(&child);
}
