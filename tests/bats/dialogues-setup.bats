#!/usr/bin/env bats
# The dialogues of user-setup and project-init, what --guided explains, and terminals that are not as they should be.

load helper
load gpu_helper
load images_helper
load dialogue_helper

setup() {
    setup_dialogue
    export GIT_CONFIG_SYSTEM=/dev/null
}

teardown() {
    teardown_dialogue
    teardown_images
    teardown_gpus
}

# A home as a new user has it.
as_new() {
    rm -rf -- "${HOME}/workspace" "${HOME}/ds01" "${HOME}/.ssh" "${HOME}/.gitconfig"
}

# Nothing is left of a project.
without_project() { # <name>
    "${BIN}/container-remove" "$1" --force --yes --quiet 2> /dev/null || true
    docker image rm --force "ds01/root/$1" > /dev/null 2>&1 || true
    rm -rf -- "${HOME}/workspace" "${HOME}/ds01"
}

walk_user-setup() {
    as_new
    begins "${BIN}/user-setup" --skip access --skip vscode
    asks user-setup-workspace 'There is no folder'
    does_and_tells 'what was put right stays so'
    pick 1
    # Back from here would be this question again: the workspace is in place now.
    asks --ahead user-setup-ssh 'You have no SSH key here'
    pick 2
    asks user-setup-git 'Git does not know your name and address'
    pick 1
    asks user-setup-git-name 'Your name, as it shall stand'
    fill '. .'
    tells user-setup-git-no-name "'. .' is not a name for git's commits"
    asks --again user-setup-git-name 'Your name, as it shall stand'
    fill 'New Person'
    asks user-setup-git-email 'Your e-mail address'
    fill person.org
    tells user-setup-git-no-email "'person.org' is not an e-mail address"
    asks --again user-setup-git-email 'Your e-mail address'
    fill new@person.org
    # Back leads to what was skipped.
    DIALOGUE_LAST='You have no SSH key here' DIALOGUE_KEYS=(2 Enter)
    asks user-setup-project 'There is no project in your workspace yet'
    pick 1
    asks user-setup-project-name 'A name for the project'
    fill thesis
    asks user-setup-project-type 'What kind of project'
    pick 2
    asks user-setup-project-more 'What should it have?'
    mark 1
    ends 7 'not in place: ssh' "hint: run 'user-setup --only ssh'" 'the same in one line: project-init thesis --type colour --no-git' \
        "the same in one line: user-setup --skip access --skip vscode --yes --skip ssh --git-name New\\ Person --git-email new@person.org --skip project" \
        'user-setup: info: next: image-create thesis --project ' 'user-setup: info: then: container-run thesis'
    [[ -d "${HOME}/workspace/thesis" && ! -e "${HOME}/workspace/thesis/.git" && ! -e "${HOME}/.ssh" ]]
    [[ "$(git config --global user.name)" == 'New Person' && "$(git config --global user.email)" == new@person.org ]]
}

# bats test_tags=engine
@test "dialogues: user-setup" {
    small_tiers
    # Less than any server has.
    sed -i -e 's/^  max_cpus: .*/  max_cpus: 1/' -e 's/^  memory: .*/  memory: 1g/' "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    hold_dialogue walk_user-setup
}

walk_project-init() {
    without_project thesis
    begins "${BIN}/project-init"
    asks project-init-name 'A name for the project'
    fill 'My Thesis'
    tells project-init-no-name "'My Thesis' is not a name for a project"
    asks --again project-init-name 'A name for the project'
    fill thesis
    asks project-init-type 'What kind of project'
    pick 3
    asks project-init-more 'What should it have?'
    mark 3
    asks project-init-framework 'What should the image of'
    pick 1
    ends 0 'the same in one line: project-init thesis --type pairs --container --framework Debian --version bookworm' \
        "container  thesis" 'project-init: info: next: container-run thesis'
    [[ "$(docker image inspect --format '{{index .Config.Labels "ds01.image.framework"}}' ds01/root/thesis)" == Debian ]]
    grep -q toolz "${HOME}/workspace/thesis/requirements.txt"
}

# bats test_tags=engine
@test "dialogues: project-init" {
    small_tiers
    git config --global user.name 'Test Person'
    git config --global user.email test@example.org
    hold_dialogue walk_project-init
}

walk_ds01-docker() {
    begins "${BIN}/ds01-docker"
    asks ds01-docker 'What do you want to see?'
    pick 4
    ends 0 'the same in one line: ds01-docker system df' RECLAIMABLE
}

# bats test_tags=engine
@test "dialogues: ds01-docker" {
    hold_dialogue walk_ds01-docker
}

# Answer a question that another walk looks at.
answers() { # <text> <answer> [<word>...]
    question_is_there "$1"
    "${@:2}"
}

guided_user-setup() {
    begins "${BIN}/user-setup" --guided --skip vscode
    tells guide-container 'A container is your own small Linux system'
    tells guide-workspace 'The workspace is an ordinary folder'
    answers 'There is no folder' pick 2
    tells guide-limits 'Many people share this server'
    tells guide-gpus 'A container gets GPUs'
    tells guide-idle 'A container that does nothing for a long time'
    answers 'You have no SSH key here' pick 2
    answers 'Git does not know your name and address' back
    # What was explained is not explained again.
    answers 'You have no SSH key here' pick 2
    answers 'Git does not know your name and address' pick 2
    tells guide-project 'A project is a folder in your workspace'
    answers 'There is no project' pick 1
    answers 'A name for the project' fill thesis
    answers 'What kind of project' pick 1
    answers 'What should it have?' mark
    ends 7 'not in place: workspace, ssh, git' "Your project 'thesis' is there." \
        'the same in one line: user-setup --guided --skip vscode --yes --skip workspace --skip ssh --skip git --project thesis'
}

# What nobody can mend here is shown before the next question hides it, and once.
not_to_be_mended() {
    printf 'version: 7\n' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    begins env DOCKER_HOST=unix:///nowhere/docker.sock "${BIN}/user-setup" --only access --only limits --only ssh --only git
    tells user-setup-access 'The Docker engine does not run: ask the administrator.'
    tells user-setup-limits 'The policy cannot be read'
    answers 'You have no SSH key here' pick 2
    answers 'Git does not know your name' back
    answers 'You have no SSH key here' pick 2
    answers 'Git does not know your name' pick 2
    ends 7 'user-setup: warning: access: the Docker engine does not run' 'not in place: access, limits, ssh, git'
}

# bats test_tags=engine
@test "dialogues: user-setup shows what cannot be put right" {
    hold_once not_to_be_mended
}

# Back from the first that is missing: the steps before it are in place, and there is nothing to go back to.
nothing_before() {
    begins "${BIN}/user-setup" --only workspace --only ssh
    answers 'There is no folder' pick 1
    answers 'You have no SSH key here' back
    question_is_there '<Cancel>'
    terminal_shows 'You have no SSH key here'
    terminal_keys Enter
    ends 0 "'ssh-keygen -p -f ~/.ssh/id_ed25519' adds a passphrase" \
        'the same in one line: user-setup --only workspace --only ssh --yes'
    [[ -s "${HOME}/.ssh/id_ed25519.pub" ]]
}

# bats test_tags=engine
@test "dialogues: user-setup leads back to what is still to do only" {
    hold_once nothing_before
}

# What is asked for an image comes before anything is made.
only_framework() {
    begins "${BIN}/project-init" thesis --image --type pairs --dry-run
    question_is_there 'What should the image of'
    terminal_shows '<Cancel>'
    if [[ -n "${1:-}" ]]; then
        leave
        return
    fi
    terminal_keys Enter
    ends 0 'would be made: ' \
        'the same in one line: project-init thesis --type pairs --image --framework Debian --version bookworm --dry-run'
}

only_framework_left() {
    only_framework left
}

# bats test_tags=engine
@test "dialogues: project-init asks for the framework only where all else was typed" {
    small_tiers
    hold_once only_framework_left
    hold_once only_framework
}

guided_container-create() {
    begins "${BIN}/container-create" --guided
    tells guide-container 'A container is your own small Linux system'
    answers 'A name for the container' fill guided
    tells guide-image 'An image is the frozen beginning'
    answers 'Which framework or image' pick 1
    tells guide-gpus 'A container gets GPUs'
    answers 'Which GPU should' pick 2
    tells guide-workspace 'The workspace is an ordinary folder'
    answers 'This will run' pick 1
    ends 0 "Your container 'guided' is there."
}

guided_image-create() {
    begins "${BIN}/image-create" guided --framework Debian --no-tiers --yes --guided
    tells guide-image 'An image is the frozen beginning'
    ends 0 "Your image 'guided' is there."
}

# Esc leaves at an explanation too.
guided_project-init() {
    begins "${BIN}/project-init" --guided
    tells guide-project 'A project is a folder in your workspace'
    answers 'A name for the project' fill thesis
    answers 'What kind of project' pick 1
    answers 'What should it have?' mark 3
    tells guide-image 'An image is the frozen beginning'
    question_is_there 'A container is your own small Linux system'
    leave
}

# bats test_tags=engine
@test "dialogues: --guided explains each topic once, and what comes next" {
    small_tiers
    setup_gpus a100-40
    hold_once guided_user-setup
    as_new
    hold_once guided_container-create
    hold_once guided_image-create
    hold_once guided_project-init
}
